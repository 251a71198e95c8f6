"""TLS as grpcio speaks it: with its own library, which asks for the certificate at each handshake."""

import grpc

from penstock.security.tls import Pem, Tls


def credentials(tls: Tls) -> grpc.ServerCredentials:
    """Return credentials that follow the certificate in force; clients need one of their own where that is asked for."""
    given = tls.pem

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        # Called on a thread of grpcio. At worst two of them give the same new certificate.
        nonlocal given
        pem = tls.pem
        if pem is given:
            return None
        given = pem
        return _configuration(pem)

    return grpc.dynamic_ssl_server_credentials(_configuration(given), fetch, given.client_ca is not None)


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.client_ca)
