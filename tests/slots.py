"""The numbers that the machine code and its callers share, under public names for tests.

In the engine they are private, as whatever is public takes room in the heap of a board; that
these are the same ones is for test_rules.py to see.
"""

from coap.compose import *  # noqa: F403
from coap.ring import *  # noqa: F403
from coap.scan import *  # noqa: F403

# Of scan.py
IF_MATCH = 1  # scan.IF_MATCH
URI_HOST = 2  # scan.URI_HOST
ETAG = 3  # scan.ETAG
IF_NONE_MATCH = 4  # scan.IF_NONE_MATCH
OBSERVE = 5  # scan.OBSERVE
URI_PORT = 6  # scan.URI_PORT
URI_PATH = 7  # scan.URI_PATH
CONTENT_FORMAT = 8  # scan.CONTENT_FORMAT
URI_QUERY = 9  # scan.URI_QUERY
ACCEPT = 10  # scan.ACCEPT
BLOCK2 = 11  # scan.BLOCK2
BLOCK1 = 12  # scan.BLOCK1
SIZE2 = 13  # scan.SIZE2
SIZE1 = 14  # scan.SIZE1
PROXY = 15  # scan.PROXY
OSCORE = 16  # scan.OSCORE
ECHO = 17  # scan.ECHO
NO_RESPONSE = 18  # scan.NO_RESPONSE
REQUEST_TAG = 19  # scan.REQUEST_TAG
MAX_AGE = 20  # scan.MAX_AGE
LOCATION_PATH = 21  # scan.LOCATION_PATH
LOCATION_QUERY = 22  # scan.LOCATION_QUERY
UNKNOWN = 23  # scan.UNKNOWN
ENDS = 24  # scan.ENDS
FLAGS = 48  # scan.FLAGS
TYPE = 49  # scan.TYPE
CODE = 50  # scan.CODE
MID = 51  # scan.MID
TOKEN = 52  # scan.TOKEN
HEAD = 53  # scan.HEAD
ROUTE = 54  # scan.ROUTE
PAYLOAD = 55  # scan.PAYLOAD
SIZE = 56  # scan.SIZE
TOKEN_MAX = 57  # scan.TOKEN_MAX
ROOM = 58  # scan.ROOM
BODY = 59  # scan.BODY
VALUE = 60  # scan.VALUE
LENGTH = 61  # scan.LENGTH
LIMIT = 62  # scan.LIMIT
COUNT = 63  # scan.COUNT
TABLE = 64  # scan.TABLE
FOUND = 128  # scan.FOUND
SPECIAL = 129  # scan.SPECIAL
WATCH = 130  # scan.WATCH
REQUEST = 1 << 0  # scan.REQUEST
UNSAFE = 1 << 24  # scan.UNSAFE
NON = 1 << 25  # scan.NON
OTHER = 1 << 26  # scan.OTHER
ODD = 1 << 27  # scan.ODD
REFUSE = 1 << 28  # scan.REFUSE
SILENT = 1 << 29  # scan.SILENT
ABSENT = 0x3FFFFFFF  # scan.ABSENT
MISSING = 0x3FFFFFFE  # scan.MISSING
ROUTES = 256  # scan.ROUTES
CHOICE = 256  # scan.CHOICE
CUT = 512  # scan.CUT
NO_ACCEPT = 0x10000  # scan.NO_ACCEPT
ANY_FORMAT = 65534  # scan.ANY_FORMAT
LOOK = 65533  # scan.LOOK
CRITICAL = 8494806  # scan.CRITICAL

# Of compose.py
Q_CODE = 0  # compose.Q_CODE
Q_ETAG = 1  # compose.Q_ETAG
Q_OBSERVE = 2  # compose.Q_OBSERVE
Q_FORMAT = 3  # compose.Q_FORMAT
Q_MAX_AGE = 4  # compose.Q_MAX_AGE
Q_BLOCK2 = 5  # compose.Q_BLOCK2
Q_BLOCK1 = 6  # compose.Q_BLOCK1
Q_SIZE2 = 7  # compose.Q_SIZE2
Q_SIZE1 = 8  # compose.Q_SIZE1
Q_START = 9  # compose.Q_START
Q_LENGTH = 10  # compose.Q_LENGTH
Q_SIZE = 11  # compose.Q_SIZE
Q_AT = 11  # compose.Q_AT
Q_DIGEST = 12  # compose.Q_DIGEST
Q_SKIP = 13  # compose.Q_SKIP
Q_LIMIT = 14  # compose.Q_LIMIT
Q_BASE = 15  # compose.Q_BASE
Q_ALL = 16  # compose.Q_ALL
SHORT = 96  # compose.SHORT

# Of ring.py
RING_ENTRIES = 0  # ring.RING_ENTRIES
RING_CON_MS = 1  # ring.RING_CON_MS
RING_NON_MS = 2  # ring.RING_NON_MS
RING_FIRST = 3  # ring.RING_FIRST
RING_STEP = 3  # ring.RING_STEP
RING_NON = 1 << 16  # ring.RING_NON

# Of later.py
PATIENCE_MS = 247000  # later.PATIENCE_MS

# Of counters.py
MALFORMED = 0  # counters.MALFORMED
DUPLICATES = 1  # counters.DUPLICATES
RETRANSMISSIONS = 2  # counters.RETRANSMISSIONS
GIVEN_UP = 3  # counters.GIVEN_UP
NO_EXCHANGE = 4  # counters.NO_EXCHANGE
REPLIES_PUSHED_OUT = 5  # counters.REPLIES_PUSHED_OUT
PEERS_PUSHED_OUT = 6  # counters.PEERS_PUSHED_OUT
REFUSED = 7  # counters.REFUSED
HANDLER_ERRORS = 8  # counters.HANDLER_ERRORS
TOO_LONG = 9  # counters.TOO_LONG
REOPENED = 10  # counters.REOPENED
SEND_ERRORS = 11  # counters.SEND_ERRORS
OBSERVERS_REFUSED = 12  # counters.OBSERVERS_REFUSED
OBSERVERS_PUSHED_OUT = 13  # counters.OBSERVERS_PUSHED_OUT
BLOCKS_REFUSED = 14  # counters.BLOCKS_REFUSED
LIMITED = 15  # counters.LIMITED
GROUP_DROPPED = 16  # counters.GROUP_DROPPED
BLOCKS_PUSHED_OUT = 17  # counters.BLOCKS_PUSHED_OUT
OUT_OF_MEMORY = 18  # counters.OUT_OF_MEMORY
FRAMES_DROPPED = 19  # counters.FRAMES_DROPPED
FRAMES_IGNORED = 20  # counters.FRAMES_IGNORED
NOT_OPENED = 21  # counters.NOT_OPENED
