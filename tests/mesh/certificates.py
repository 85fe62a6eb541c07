"""Certificates made by openssl: a server's, a client's that names a service of the mesh, a stranger's."""

import subprocess

SPIFFE_ID = "spiffe://cluster.local/ns/shop/sa/orders"


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)


def authority(directory, name):
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    return certificate, key


def certificate(directory, name, signer, alternative):
    """(certificate, key) files of a leaf; alternative: its subjectAltName."""
    request, key, made = (directory / f"{name}.{suffix}" for suffix in ("csr", "key", "pem"))
    extensions = directory / f"{name}.ext"
    usage = "authorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
    extensions.write_text(f"subjectAltName={alternative}\n{usage}")
    openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
    )
    openssl(
        *("x509", "-req", "-in", request, "-CA", signer[0], "-CAkey", signer[1], "-CAcreateserial"),
        *("-days", "2", "-extfile", extensions, "-out", made),
    )
    return made, key


class Files:
    """A server's certificate, a client's of the mesh's authority, and one of another."""

    def __init__(self, directory):
        self.server_ca = authority(directory, "server-ca")
        self.client_ca = authority(directory, "client-ca")
        self.server = certificate(directory, "agent", self.server_ca, "IP:127.0.0.1,DNS:localhost")
        self.client = certificate(directory, "orders", self.client_ca, f"URI:{SPIFFE_ID}")
        other = authority(directory, "other-ca")
        self.stranger = certificate(directory, "stranger", other, f"URI:{SPIFFE_ID}")

    def keys(self, mutual):
        keys = {"cert_file": str(self.server[0]), "key_file": str(self.server[1])}
        return {**keys, "client_ca_file": str(self.client_ca[0])} if mutual else keys
