"""Certificates for tests, made by the openssl command: a CA, and what it signs."""

import subprocess

import lab


class Authority:
    """A CA of our own; each certificate is a pair of files in one directory."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.name = name
        self.openssl = lab.need("openssl")
        self.key, self.cert = directory / f"{name}.key", directory / f"{name}.crt"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", self.key, "-out", self.cert, "-subj", f"/CN={name}", "-days", "30")

    def _run(self, *arguments):
        subprocess.run([self.openssl, *map(str, arguments)], check=True, capture_output=True)

    def sign(self, file, names=("redis.test",), ips=(), expired=False):
        """(certificate, key) for these names and addresses."""
        key, request, cert = (self.directory / f"{file}.{end}" for end in ("key", "csr", "crt"))
        alternatives = [f"DNS:{name}" for name in names] + [f"IP:{ip}" for ip in ips]
        extensions = self.directory / f"{file}.ext"
        extensions.write_text("subjectAltName=" + ",".join(alternatives) + "\n")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                  key, "-out", request, "-subj", f"/CN={file}")
        # `x509 -req -days -1` gives a certificate that ended yesterday.
        self._run("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key,
                  "-CAcreateserial", "-out", cert, "-extfile", extensions, "-days",
                  "-1" if expired else "30")
        return cert, key
