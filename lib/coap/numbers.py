"""The registries of CoAP (RFC 7252 section 12 and later RFCs), and the clock's range.

A code is one byte, class << 5 | detail: 4.04 is 4 << 5 | 4.
"""

from micropython import const

# public: message types
CON = const(0)
NON = const(1)
ACK = const(2)
RST = const(3)

# public: methods
GET = const(1)
POST = const(2)
PUT = const(3)
DELETE = const(4)
FETCH = const(5)
PATCH = const(6)
IPATCH = const(7)

# public: response codes
CREATED = const(0x41)
DELETED = const(0x42)
VALID = const(0x43)
CHANGED = const(0x44)
CONTENT = const(0x45)
CONTINUE = const(0x5F)
BAD_REQUEST = const(0x80)
UNAUTHORIZED = const(0x81)
BAD_OPTION = const(0x82)
FORBIDDEN = const(0x83)
NOT_FOUND = const(0x84)
METHOD_NOT_ALLOWED = const(0x85)
NOT_ACCEPTABLE = const(0x86)
REQUEST_ENTITY_INCOMPLETE = const(0x88)
CONFLICT = const(0x89)
PRECONDITION_FAILED = const(0x8C)
REQUEST_ENTITY_TOO_LARGE = const(0x8D)
UNSUPPORTED_CONTENT_FORMAT = const(0x8F)
UNPROCESSABLE_ENTITY = const(0x96)
TOO_MANY_REQUESTS = const(0x9D)
INTERNAL_SERVER_ERROR = const(0xA0)
NOT_IMPLEMENTED = const(0xA1)
BAD_GATEWAY = const(0xA2)
SERVICE_UNAVAILABLE = const(0xA3)
GATEWAY_TIMEOUT = const(0xA4)
PROXYING_NOT_SUPPORTED = const(0xA5)
HOP_LIMIT_REACHED = const(0xA8)

# public: option numbers
IF_MATCH = const(1)
URI_HOST = const(3)
ETAG = const(4)
IF_NONE_MATCH = const(5)
OBSERVE = const(6)
URI_PORT = const(7)
LOCATION_PATH = const(8)
OSCORE = const(9)
URI_PATH = const(11)
CONTENT_FORMAT = const(12)
MAX_AGE = const(14)
URI_QUERY = const(15)
HOP_LIMIT = const(16)
ACCEPT = const(17)
Q_BLOCK1 = const(19)
LOCATION_QUERY = const(20)
EDHOC = const(21)
BLOCK2 = const(23)
BLOCK1 = const(27)
SIZE2 = const(28)
Q_BLOCK2 = const(31)
PROXY_URI = const(35)
PROXY_SCHEME = const(39)
SIZE1 = const(60)
ECHO = const(252)
NO_RESPONSE = const(258)
REQUEST_TAG = const(292)

# public: Content-Formats
TEXT = const(0)
LINK_FORMAT = const(40)
OCTET_STREAM = const(42)
JSON = const(50)
MERGE_PATCH_JSON = const(52)
CBOR = const(60)
SENML_JSON = const(110)
SENML_CBOR = const(112)
PROBLEM_DETAILS = const(257)

# Time: milliseconds modulo 2**30, compared by signed difference
CLOCK_MASK = const(0x3FFFFFFF)
CLOCK_HALF = const(0x20000000)
