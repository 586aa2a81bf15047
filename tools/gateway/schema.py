"""The tables of the gateway's store, and how a store of an older version becomes a present one."""

# Each migration leads from the version of its place to the next one; PRAGMA user_version counts.
# Times are seconds since 1970 as floats. `node` without a table refers to node.id.
MIGRATIONS = (
    """
    CREATE TABLE node (
        id INTEGER PRIMARY KEY,
        eui TEXT UNIQUE,                      -- of the board, 16 hex digits; NULL: not heard
        ep TEXT NOT NULL UNIQUE,              -- the name in /n/EP
        title TEXT NOT NULL DEFAULT '',
        kind TEXT NOT NULL DEFAULT '',        -- 'door', 'window', 'wearable'; '': not known
        state TEXT NOT NULL DEFAULT 'new',    -- 'new', 'adopted', 'gone'
        beat_s INTEGER NOT NULL DEFAULT 3600, -- seconds between two reports at most
        heard REAL,                           -- when the last report came
        addr TEXT NOT NULL DEFAULT '',
        owner TEXT NOT NULL DEFAULT '',       -- the gateway that heard it last
        fw TEXT NOT NULL DEFAULT '',
        power TEXT NOT NULL DEFAULT '',
        links TEXT NOT NULL DEFAULT '',       -- its /.well-known/core
        needs_key INTEGER NOT NULL DEFAULT 0  -- it has had keys: nothing is taken without them
    );
    CREATE TABLE key (
        kid BLOB NOT NULL,                    -- the node's sender ID
        id_context BLOB NOT NULL,             -- empty for none
        node INTEGER NOT NULL,
        secret BLOB NOT NULL,
        salt BLOB NOT NULL,
        sender BLOB NOT NULL,                 -- the gateway's sender ID
        next INTEGER NOT NULL DEFAULT 0,      -- sender sequence numbers below it may be used up
        win_index INTEGER,                    -- replay window; NULL: unknown, an Echo tells it
        win_bits INTEGER,
        state TEXT NOT NULL DEFAULT 'good',   -- 'good', 'old' (a newer one is in use), 'lost'
        PRIMARY KEY (kid, id_context)
    ) WITHOUT ROWID;
    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        node INTEGER NOT NULL,
        epoch TEXT NOT NULL,
        number INTEGER NOT NULL,
        source TEXT NOT NULL,                 -- 'contact', 'tamper', 'alert', 'row'
        value REAL,
        at REAL NOT NULL,
        heard REAL NOT NULL,
        gateway TEXT NOT NULL DEFAULT '',
        UNIQUE (node, epoch, number)
    );
    CREATE INDEX event_at ON event (node, at);
    CREATE TABLE gap (
        node INTEGER NOT NULL,
        epoch TEXT NOT NULL,
        after INTEGER NOT NULL,               -- the number before the first event after it
        missing INTEGER,                      -- NULL: the node does not know how many
        heard REAL NOT NULL,
        PRIMARY KEY (node, epoch, after)
    ) WITHOUT ROWID;
    CREATE TABLE last (
        node INTEGER NOT NULL,
        path TEXT NOT NULL,
        value,                                -- REAL, INTEGER or TEXT
        unit TEXT NOT NULL DEFAULT '',
        at REAL NOT NULL,
        heard REAL NOT NULL,
        PRIMARY KEY (node, path)
    ) WITHOUT ROWID;
    CREATE TABLE reading (
        node INTEGER NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (node, name, at)
    ) WITHOUT ROWID;
    CREATE TABLE hourly (
        node INTEGER NOT NULL, name TEXT NOT NULL, t REAL NOT NULL,
        n INTEGER NOT NULL, min REAL NOT NULL, max REAL NOT NULL, sum REAL NOT NULL,
        PRIMARY KEY (node, name, t)
    ) WITHOUT ROWID;
    CREATE TABLE daily (
        node INTEGER NOT NULL, name TEXT NOT NULL, t REAL NOT NULL,
        n INTEGER NOT NULL, min REAL NOT NULL, max REAL NOT NULL, sum REAL NOT NULL,
        PRIMARY KEY (node, name, t)
    ) WITHOUT ROWID;
    CREATE TABLE wait (
        id INTEGER PRIMARY KEY,
        node INTEGER NOT NULL,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        format INTEGER,                       -- Content-Format; NULL: none
        payload BLOB NOT NULL DEFAULT x'',
        after INTEGER,                        -- another one that must be done before
        due REAL NOT NULL,                    -- given up then
        state TEXT NOT NULL DEFAULT 'waiting',
        tries INTEGER NOT NULL DEFAULT 0,
        result TEXT NOT NULL DEFAULT '',
        by TEXT NOT NULL DEFAULT ''           -- who wanted it
    );
    CREATE INDEX wait_node ON wait (node, id);
    CREATE TABLE reg (
        href TEXT PRIMARY KEY,
        ep TEXT NOT NULL, d TEXT NOT NULL DEFAULT '', lt INTEGER NOT NULL,
        base TEXT NOT NULL, links TEXT NOT NULL, until REAL NOT NULL, addr TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX reg_ep ON reg (ep, d);
    CREATE TABLE cursor (sink TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE key ADD COLUMN made INTEGER NOT NULL DEFAULT 0; -- the order in which they came
    ALTER TABLE node ADD COLUMN about REAL;   -- when it was asked what it is
    ALTER TABLE last ADD COLUMN format INTEGER; -- Content-Format of a text as the node wrote it
    """,
)


def migrate(connection):
    """Bring a store to the present version. Raises ValueError for one of a newer program."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise ValueError(f"it was written by a newer version of Mote ({version})")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        script = f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT"
        connection.executescript(script)
