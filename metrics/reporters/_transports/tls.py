"""TLS of clients: the trusted certificates, and the certificate of the client."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext, SSLError, create_default_context, get_default_verify_paths

PEM_RULE = "use the path of a readable PEM file"


class EncryptedKeyError(ValueError):
    """Private key that cannot be read without a passphrase."""


def client_context(
    ca_file: str | None = None,
    client_cert: str | None = None,
    client_key: str | None = None,
    *,
    trust_env: bool = False,
) -> SSLContext:
    """Return the TLS settings of a client, which verifies the server's certificate.

    Args:
        ca_file: path of the trusted certificates, in PEM; if None, the system's.
        client_cert: path of the client's certificate, followed by its chain, in PEM.
        client_key: path of its private key, in PEM; the key is in `client_cert` if None.
        trust_env: whether the environment variables SSL_CERT_FILE and SSL_CERT_DIR replace the
            trusted certificates of the system.

    Raises:
        TypeError: an option is not a str.
        ValueError: a file is unreadable or malformed, the key is encrypted or belongs to another
            certificate, or there is a key without a certificate.
    """
    context = trusting_file(ca_file) if ca_file is not None else trusting_system(trust_env)
    if client_cert is not None:
        add_certificate(context, client_cert, client_key)
    elif client_key is not None:
        raise ValueError(
            f"invalid client_key {client_key!r} without client_cert: a key needs its certificate; "
            "set both options"
        )
    return context


def trusting_file(ca_file: str) -> SSLContext:
    """Return the TLS settings of a client that trusts the certificates of a file."""
    check_readable("ca_file", ca_file)
    with explain_pem(f"invalid ca_file {ca_file!r}", f"{PEM_RULE} of certificates"):
        return create_default_context(cafile=ca_file)


def trusting_system(trust_env: bool) -> SSLContext:
    """Return the TLS settings of a client that trusts the certificates of the system."""
    if trust_env or sys.platform == "win32":
        return create_default_context()
    # OpenSSL's own paths: its defaults are the paths of the environment, if it has any.
    paths = get_default_verify_paths()
    cafile = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    return create_default_context(cafile=cafile, capath=paths.openssl_capath)


def add_certificate(context: SSLContext, client_cert: str, client_key: str | None) -> None:
    """Add the certificate of the client and its key; raise as `client_context` does."""
    check_readable("client_cert", client_cert)
    wrong, rule = f"invalid client_cert {client_cert!r}", f"{PEM_RULE} of a certificate and its key"
    key_option, key_path = "client_cert", client_cert
    if client_key is not None:
        check_readable("client_key", client_key)
        key_option, key_path = "client_key", client_key
        wrong += f" with client_key {client_key!r}"
        rule = "use the PEM files of a certificate and of its private key"

    def passphrase() -> str:
        # Without this function OpenSSL would prompt for it on the terminal.
        raise EncryptedKeyError(
            f"invalid {key_option} {key_path!r}: the key is encrypted; decrypt it into a file that "
            "only this program can read, with `openssl pkey`"
        )

    with explain_pem(wrong, rule):
        context.load_cert_chain(client_cert, client_key, passphrase)


def check_readable(option: str, path: str) -> None:
    """Raise TypeError if a path is not a str, and ValueError if its file cannot be read."""
    if not isinstance(path, str):
        raise TypeError(f"invalid {option} {path!r}: use a str")
    with explain_pem(f"invalid {option} {path!r}", PEM_RULE), Path(path).open("rb") as file:
        file.read(1)


@contextmanager
def explain_pem(wrong: str, rule: str) -> Iterator[None]:
    """Replace the OSError of a block, such as an SSLError, by a ValueError in one line."""
    try:
        yield
    except OSError as error:
        # OpenSSL's names of its errors: KEY_VALUES_MISMATCH.
        name = error.reason if isinstance(error, SSLError) else None
        reason = name.replace("_", " ").lower() if name else error.strerror or str(error)
        raise ValueError(f"{wrong}: {reason}; {rule}") from error
