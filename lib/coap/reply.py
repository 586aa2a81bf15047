"""What a handler fills in: an Answer without its bytes and numbers."""

from micropython import const

# Numbers of other files: the compiler folds only the constants of the file at hand
_LOCATION_PATH = const(8)  # numbers.LOCATION_PATH
_LOCATION_QUERY = const(20)  # numbers.LOCATION_QUERY
_CREATED = const(0x41)  # numbers.CREATED
_ABSENT = const(0x3FFFFFFF)  # scan.ABSENT
_Q_CODE = const(0)  # compose.Q_CODE
_Q_ETAG = const(1)  # compose.Q_ETAG
_Q_FORMAT = const(3)  # compose.Q_FORMAT
_Q_MAX_AGE = const(4)  # compose.Q_MAX_AGE
_Q_SKIP = const(13)  # compose.Q_SKIP
_Q_LIMIT = const(14)  # compose.Q_LIMIT


class Reply:
    """The answer to the request at hand; setters hold for this answer only.

    One Reply serves every request of a node. number(), boolean(), write() and part() give the
    payload without allocating: see Answer.
    """

    def __init__(self, answer):
        self._answer = answer
        self.negotiated = None  # the Content-Format that Accept asked for, None without Accept
        # bound once: a method of ours would cost a frame more at each call
        self.number = answer.number
        self.boolean = answer.boolean
        self.write = answer.write
        self.part = answer.part

    @property
    def code(self):
        """The response code, 0 while the default of the method stands."""
        answer = self._answer
        return answer.q[_Q_CODE] if answer.touched else 0

    @code.setter
    def code(self, code):
        q = self._numbers()
        q[_Q_CODE] = code

    @property
    def content_format(self):
        """The format that was negotiated; None when the answer has none."""
        answer = self._answer
        form = answer.q[_Q_FORMAT] if answer.touched else answer.chosen
        if form == _ABSENT and not answer.touched:
            form = answer.node.resource.q[_Q_FORMAT]
        return None if form == _ABSENT else form

    @content_format.setter
    def content_format(self, form):
        q = self._numbers()
        q[_Q_FORMAT] = _ABSENT if form is None else form

    @property
    def max_age_s(self):
        """Seconds for which the answer holds; None for the default of 60."""
        answer = self._answer
        q = answer.q if answer.touched else answer.node.resource.q
        return None if q[_Q_MAX_AGE] == _ABSENT else q[_Q_MAX_AGE]

    @max_age_s.setter
    def max_age_s(self, seconds):
        q = self._numbers()
        q[_Q_MAX_AGE] = _ABSENT if seconds is None else seconds

    @property
    def etag(self):
        """The strong ETag of what is answered, at most 8 bytes; b"" for none."""
        answer = self._answer
        if not answer.touched:
            return answer.node.resource.etag
        return answer.tag if answer.q[_Q_ETAG] else b""

    @etag.setter
    def etag(self, etag):
        if len(etag) > 8:
            raise ValueError("an ETag has at most 8 bytes")
        q = self._numbers()
        q[_Q_ETAG] = len(etag)
        self._answer.tag = etag

    @property
    def offset(self):
        """Where in the payload the part begins that is wanted; for part()."""
        return self._answer.q[_Q_SKIP]

    @property
    def wanted(self):
        """How many bytes of the payload are wanted; for part()."""
        return self._answer.q[_Q_LIMIT]

    def location(self, *segments):
        """Where a created resource lies (RFC 7252 section 5.10.7); the code becomes 2.01."""
        self._more(_LOCATION_PATH, segments)

    def location_query(self, *queries):
        """The query part of the location."""
        self._more(_LOCATION_QUERY, queries)

    def _numbers(self):
        # To be called on its own: MicroPython makes a bound method for a call in an assignment's
        # target.
        answer = self._answer
        if not answer.touched:
            answer.start()
        return answer.q

    def _more(self, number, values):
        q = self._numbers()
        if q[_Q_CODE] == 0:
            q[_Q_CODE] = _CREATED
        if self._answer.extra is None:
            self._answer.extra = []
        for value in values:
            value = value.encode() if isinstance(value, str) else value
            self._answer.extra.append((number, value))
