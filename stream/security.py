"""How a client of Kafka proves who it is, and whom it believes: the same arguments for every client library.

    PLAINTEXT        nothing is proven, everything can be read on the way      development
    SSL              the broker proves its name by a certificate
    SASL_PLAINTEXT   the client gives a user and a password; the way can be read (PLAIN: the password too)
    SASL_SSL         both                                                       production

aiokafka and kafka-python take the same keyword arguments. The host name in the broker's certificate is always
checked; there is no switch for that. Certificates of clients (mutual TLS) and Kerberos are not supported.
"""

import ssl
from typing import Any

from stream.settings import Settings, SettingsError


def client_arguments(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of a connection, for the clients of aiokafka and of kafka-python.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    dict
        Security only: addresses and roles are added by whoever builds the client. Holds the password: not for logs.

    Raises
    ------
    SettingsError
        The file of trusted certificates can't be used.
    """
    given: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        given["ssl_context"] = tls_context(settings.kafka_tls_ca)
    if settings.kafka_security_protocol.startswith("SASL_"):
        given |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.reveal(),
        }
    return given


def tls_context(authority: str) -> ssl.SSLContext:
    """What a client demands of the broker's certificate: a known issuer and the right host name.

    Parameters
    ----------
    authority : str
        PEM file with the certificates of trusted issuers; empty: those that the system trusts.

    Raises
    ------
    SettingsError
        The file can't be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=authority or None)
    except OSError as error:  # ssl.SSLError is one too
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(
            f"ALLOCATOR_KAFKA_TLS_CA: expected a PEM file with the issuer's certificate, got {authority!r}: {why}"
        ) from error
