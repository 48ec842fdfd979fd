"""Why a request is refused, and the HTTP status and headers that say so."""

from typing import Final

from servewell.errors import ServewellError


class RequestError(ServewellError):
    """A request that is not answered with predictions.

    `reason` is what the record keeps of it: never a value of the request.
    """

    recorded = True  # whether the prediction log keeps it; what comes in floods is only counted

    @property
    def reason(self) -> str:
        """Return what was wrong, without any value of the request."""
        return type(self).__name__.removesuffix("Error")

    @property
    def sentence(self) -> str:
        """Return it in one line: what, why, and what to do next."""
        return f"{self.what} Because: {self.why}. Next: {self.fix}."

    @property
    def headers(self) -> bytes:
        """Return the header lines that HTTP wants beside its status; every protocol sends them."""
        return HEADERS.get(self.code, b"")


class MalformedHttpError(RequestError):
    """The bytes are not one well-formed HTTP/1.1 request."""

    code = "SW-300"


class HeadTooLargeError(RequestError):
    """The request line and headers are larger than a worker reads."""

    code = "SW-301"


class BodyTooLargeError(RequestError):
    """The body is larger than the endpoint takes."""

    code = "SW-302"


class RequestTooSlowError(RequestError):
    """The request did not arrive whole in its time."""

    code = "SW-303"


class PathUnknownError(RequestError):
    """Nothing is served under that path."""

    code = "SW-304"


class MethodRefusedError(RequestError):
    """The path exists, and does not take that method."""

    code = "SW-305"

    def __init__(self, allowed: str) -> None:
        super().__init__(
            "The path does not take that method.",
            why=f"what may be sent there is {allowed}",
            fix=f"send it as {allowed}",
        )
        self.allowed = allowed

    @property
    def headers(self) -> bytes:
        """See `RequestError.headers`."""
        return b"allow: %b\r\n" % self.allowed.encode()


class NotAuthenticatedError(RequestError):
    """The request carries no key that is known here."""

    code = "SW-306"


class KeyExpiredError(RequestError):
    """The key was good once."""

    code = "SW-307"


class NotPermittedError(RequestError):
    """The key is good, and does not give this right here."""

    code = "SW-308"


class EndpointUnknownError(RequestError):
    """No endpoint has that name."""

    code = "SW-309"


class DeploymentUnknownError(RequestError):
    """The endpoint has no such deployment, or serves no such version."""

    code = "SW-310"


class ContentRefusedError(RequestError):
    """The body is in a form that is not read here."""

    code = "SW-311"


class BodyMalformedError(RequestError):
    """The body is no inference request in JSON."""

    code = "SW-312"


class BinaryTensorsError(RequestError):
    """The binary tensors do not match what the headers and the JSON say."""

    code = "SW-314"


class NotReadyError(RequestError):
    """No deployment of the endpoint is loaded."""

    code = "SW-315"

    @classmethod
    def of(cls, endpoint: str) -> "NotReadyError":
        """Return the error of an endpoint."""
        return cls(
            f"The endpoint `{endpoint}` is not ready.",
            why="none of its deployments with traffic is loaded",
            fix="`servewell status` says why; send the request again when it is ready",
        )


class ModelFailedError(RequestError):
    """The model raised an error on this request."""

    code = "SW-316"


class NotRecordedError(RequestError):
    """The prediction cannot be recorded, and the endpoint answers nothing unrecorded."""

    code = "SW-317"


class EndpointUnnamedError(RequestError):
    """The path names no endpoint, and the key reaches several or none."""

    code = "SW-318"


class EndpointUnloadedError(RequestError):
    """Somebody unloaded the models of the endpoint."""

    code = "SW-319"

    @classmethod
    def of(cls, endpoint: str) -> "EndpointUnloadedError":
        """Return the error of an endpoint."""
        return cls(
            f"The endpoint `{endpoint}` is unloaded.",
            why="somebody unloaded its models; `servewell history` says who, when and why",
            fix=f"an administrator loads it again with `servewell endpoints load {endpoint}` or "
            f"`POST /v2/repository/models/{endpoint}/load`",
        )


class StoppedError(RequestError):
    """An emergency stop is in force, and answers nothing."""

    code = "SW-371"

    @classmethod
    def of(cls, endpoint: str) -> "StoppedError":
        """Return the error of an endpoint. What was ordered, and why, is not for callers."""
        return cls(
            f"The endpoint `{endpoint}` is stopped.",
            why="an emergency stop is in force, and no request is answered until it is lifted",
            fix="do without the answer for now; the operator lifts it with "
            f"`servewell resume {endpoint}`",
        )


class StoppedUnansweredError(RequestError):
    """An emergency stop is in force, and what was to answer instead is not loaded."""

    code = "SW-372"

    @classmethod
    def of(cls, endpoint: str) -> "StoppedUnansweredError":
        """Return the error of an endpoint."""
        return cls(
            f"The endpoint `{endpoint}` is stopped.",
            why="an emergency stop is in force, and what is to answer instead is not loaded",
            fix="do without the answer for now; the operator finds the cause with "
            "`servewell status`",
        )


class StopRefusedError(RequestError):
    """An emergency stop cannot be ordered, or lifted, as the request wants it."""

    code = "SW-373"


class ChangeNotMadeError(RequestError):
    """A change that was asked for was not made in time, or could not be made."""

    code = "SW-325"


class ExtensionMissingError(RequestError):
    """An extension of the protocol that is not offered here."""

    code = "SW-326"


class ParameterRefusedError(RequestError):
    """A parameter of the request holds what it may not."""

    code = "SW-327"


class CertificateExpiredError(RequestError):
    """The certificate by which the connection was opened has ended since."""

    code = "SW-365"


class CertificateUnknownError(RequestError):
    """The certificate is good, and nobody gave its holder a right here."""

    code = "SW-366"


class ExplanationsNotOfferedError(RequestError):
    """The protocol knows explanations, and none are given here."""

    code = "SW-355"


class PlainHttpError(RequestError):
    """The request came in plain HTTP to a port that speaks HTTPS."""

    code = "SW-367"


class GrpcOnlyError(RequestError):
    """The path is that of a gRPC method, and the request is no gRPC call."""

    code = "SW-350"

    @classmethod
    def told(cls) -> "GrpcOnlyError":
        """Return the error."""
        return cls(
            "That path is for gRPC alone.",
            why="gRPC is spoken over HTTP/2, and this request is none of its calls",
            fix="call it with a gRPC client; over HTTP/1.1 send predictions to "
            "`POST /v2/models/ENDPOINT/infer`",
        )


class GrpcFramingError(RequestError):
    """The bytes of a gRPC call are not the messages that the method takes."""

    code = "SW-351"


class ConnectionFullError(RequestError):
    """One connection holds more bytes of unfinished requests than a worker keeps."""

    code = "SW-352"


class NoRoomError(RequestError):
    """A worker holds as many connections as it may, and none of them is idle."""

    code = "SW-353"

    @classmethod
    def told(cls) -> "NoRoomError":
        """Return the error."""
        return cls(
            "There is no room for another connection.",
            why="as many are open as a worker may hold, and all are in use",
            fix="send it again in 1 s, over connections that are kept open for more than one "
            "request",
        )


# Code of the error -> HTTP status. SW-313 is `protocols.faults.SignatureError`.
STATUS: Final[dict[str, int]] = {
    "SW-300": 400,
    "SW-301": 431,
    "SW-302": 413,
    "SW-303": 408,
    "SW-304": 404,
    "SW-305": 405,
    "SW-306": 401,
    "SW-307": 401,
    "SW-308": 403,
    "SW-309": 404,
    "SW-310": 404,
    "SW-311": 415,
    "SW-312": 400,
    "SW-313": 400,
    "SW-314": 400,
    "SW-315": 503,
    "SW-316": 500,
    "SW-317": 503,
    "SW-318": 404,
    "SW-319": 503,
    "SW-320": 429,  # 320 to 324, 328 and 329 are those of `protections`
    "SW-321": 429,
    "SW-322": 503,
    "SW-323": 504,
    "SW-324": 499,
    "SW-325": 503,
    "SW-326": 501,
    "SW-327": 400,
    "SW-328": 413,
    "SW-329": 400,
    "SW-350": 400,
    "SW-351": 400,
    "SW-352": 429,
    "SW-353": 503,
    "SW-360": 503,  # those of `model_failures`
    "SW-361": 504,
    "SW-362": 503,
    "SW-365": 401,
    "SW-366": 401,
    "SW-367": 400,
    "SW-355": 501,
    "SW-371": 503,
    "SW-372": 503,
    "SW-373": 400,
    "SW-380": 404,  # those of `feedback_refusals`
    "SW-381": 400,
    "SW-382": 401,
    "SW-383": 403,
    "SW-384": 429,
    "SW-385": 503,
    "SW-386": 403,
    "SW-370": 500,  # of `shadow_copy`: nobody is answered with it
}

# Code of the error -> headers beside the status. RFC 9110 wants them.
HEADERS: Final[dict[str, bytes]] = {
    "SW-352": b"retry-after: 1\r\n",
    "SW-353": b"retry-after: 1\r\n",  # no connection may be idle for longer at a full worker
    "SW-306": b'www-authenticate: Bearer realm="servewell"\r\n',
    "SW-307": b'www-authenticate: Bearer realm="servewell", error="invalid_token"\r\n',
    "SW-311": b"accept: application/json\r\naccept-encoding: gzip, deflate\r\n",
    "SW-315": b"retry-after: 1\r\n",
    "SW-317": b"retry-after: 1\r\n",
    "SW-319": b"retry-after: 30\r\n",  # an interval to ask in: a person loads it, nobody knows when
    "SW-325": b"retry-after: 5\r\n",
    "SW-365": b'www-authenticate: Bearer realm="servewell"\r\n',
    "SW-366": b'www-authenticate: Bearer realm="servewell"\r\n',
}
