"""Servers of the tests' own, which may be killed, stopped, emptied and brought back."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pymysql
import pytest
import redis
from sqlalchemy import make_url

from tests.patience import PATIENCE, eventually


class PrivateRedis:
    """A `redis-server` on a free port, with its files in one directory."""

    def __init__(self, directory: Path) -> None:
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            pytest.skip("there is no redis-server to start")
        self._program = found
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.tls_port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start_sentinel(self, host: str, primary: int, *options: str) -> None:
        """Start it as the only Sentinel of the service `shop`, whose primary has this port."""
        config = self._directory / "sentinel.conf"
        config.write_text(
            "sentinel resolve-hostnames yes\n"
            "sentinel announce-hostnames yes\n"
            f"sentinel monitor shop {host} {primary} 1\n"
            "sentinel down-after-milliseconds shop 300\n"
            "sentinel failover-timeout shop 1000\n"
        )
        self.start(*options, config=[str(config), "--sentinel"])

    def tls_options(self, authority: Path, certificate: Path) -> tuple[str, ...]:
        """What lets it speak TLS on its second port, also with other servers."""
        return (
            *("--tls-port", str(self.tls_port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(certificate)),
            *("--tls-ca-cert-file", str(authority), "--tls-replication", "yes"),
        )

    def start(self, *options: str, config: Sequence[str] = ()) -> None:
        """Start it and wait until it answers; by default it keeps nothing on disk."""
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        self._process = subprocess.Popen(
            [self._program, *config, *arguments, *([] if config else ["--save", ""]), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                client.ping()
        except redis.RedisError:
            return False
        return True

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=PATIENCE)

    def kill(self) -> None:
        """What `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """It is there, and does nothing (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def dump(self) -> bytes:
        """A copy of all that is in it, as a backup has it."""
        with self.client() as client:
            client.save()
        return (self._directory / "dump.rdb").read_bytes()

    def restore(self, dump: bytes) -> None:
        """Start it again from a copy that was made before."""
        self.kill()
        (self._directory / "dump.rdb").write_bytes(dump)
        self.start()


class PrivatePostgres:
    """A PostgreSQL on a free port, started as another user where the tests run as root."""

    def __init__(self) -> None:
        config = shutil.which("pg_config")
        if config is None:
            pytest.skip("there is no PostgreSQL to start")
        self._programs = Path(subprocess.check_output([config, "--bindir"], text=True).strip())
        self._user: dict[str, Any] = {}
        self._directory = Path(mkdtemp(prefix="jwt_authz-postgres-"))
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            self._user = {"user": account.pw_uid, "group": account.pw_gid}
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        options += f" -c unix_socket_directories={self._directory}"
        self._run("pg_ctl", "start", "--wait", "--log", str(self._directory / "log"), "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def demote(self) -> None:
        """Start it again as a standby whose primary does not answer."""
        self.stop()
        (self._directory / "standby.signal").touch()
        self.start()

    def close(self) -> None:
        if (self._directory / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._programs / program, "--pgdata", self._directory, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._user)


class PrivateMariaDB:
    """A MariaDB on a free port, started as another user where the tests run as root."""

    def __init__(self) -> None:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        install = shutil.which("mariadb-install-db", path=path)
        self._program = shutil.which("mariadbd", path=path)
        if install is None or self._program is None:
            pytest.skip("there is no MariaDB to start")
        self._user: dict[str, Any] = {}
        self._directory = Path(mkdtemp(prefix="jwt_authz-mariadb-"))
        if os.geteuid() == 0:
            account = pwd.getpwnam("mysql")
            self._user = {"user": account.pw_uid, "group": account.pw_gid}
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        self.port = free_port()
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}/test"
        command = [install, "--no-defaults", f"--datadir={self._directory / 'data'}"]
        command += ["--auth-root-authentication-method=normal"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._user)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "datadir": self._directory / "data",
            "socket": self._directory / "socket",
            "pid-file": self._directory / "pid",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "innodb-flush-log-at-trx-commit": 0,
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self._process = subprocess.Popen(
            [str(self._program), "--no-defaults", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._user,
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True

    def execute(self, statement: str) -> None:
        """Run a statement as the administrator."""
        with pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection:
            connection.cursor().execute(statement)

    def demote(self) -> None:
        """Have it answer as a replica does: it can be read and not written to."""
        self.execute("SET GLOBAL read_only = ON")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


class PgBouncer:
    """A PgBouncer in transaction mode with few connections, as another user if root runs it."""

    POOL_SIZE = 2

    def __init__(self, url: str) -> None:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        self._program = shutil.which("pgbouncer", path=path)
        if self._program is None:
            pytest.skip("there is no pgbouncer to start")
        server = make_url(url)
        self._directory = Path(mkdtemp(prefix="jwt_authz-pgbouncer-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            self._user = {"user": account.pw_uid, "group": account.pw_gid}
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        self.port = free_port()
        self.url = str(server.set(host="127.0.0.1", port=self.port, password=None))
        users = self._directory / "users.txt"
        users.write_text(f'"{server.username}" "{server.password or ""}"\n')
        (self._directory / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host={server.host} port={server.port or 5432}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = trust\n"
            f"auth_file = {users}\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {self.POOL_SIZE}\n"
            "max_client_conn = 200\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [str(self._program), "-q", str(self._directory / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._user,
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """What `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
