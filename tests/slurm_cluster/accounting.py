"""The database behind sacct: MariaDB, slurmdbd, and the accounts and QOS that an enforcing cluster knows."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.slurm_cluster.daemons import ClusterError, launch, listens, process, require_free, tail, wait_for
from tests.slurm_cluster.settings import LOOPBACK, ClusterSettings

SYSTEM_TABLES = Path("/usr/share/mysql")
TABLES = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
FROM_NOTHING = "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n"
ENFORCED = (
    ("add", "account", "test"),
    ("add", "qos", "long"),
    ("add", "user", "root", "account=test"),
    ("modify", "user", "root", "set", "qos+=normal,long"),
)


def start_accounting(settings: ClusterSettings) -> None:
    """Start MariaDB and slurmdbd, and tell them of the cluster before its slurmctld starts."""
    if process(settings, "mariadbd") is None:
        _start_database(settings)
    log = settings.folder / "log" / "slurmdbd.log"
    if process(settings, "slurmdbd") is None:
        require_free(settings.accounting_port, owner="slurmdbd")
        launch(["slurmdbd"], log=log, environment=_environment(settings))
    wait_for("slurmdbd", lambda: listens(settings.accounting_port), log=log)
    if "mini" not in manage(settings, "--noheader", "list", "cluster", "format=cluster"):
        manage(settings, "add", "cluster", "mini")
    if settings.enforce and "long" not in manage(settings, "--noheader", "list", "qos", "format=name"):
        for command in ENFORCED:
            manage(settings, *command)


def manage(settings: ClusterSettings, *arguments: str) -> str:
    """Run sacctmgr without questions and return what it says."""
    done = subprocess.run(
        ["sacctmgr", "--immediate", *arguments], env=_environment(settings), capture_output=True, text=True
    )
    if done.returncode:
        raise ClusterError(f"sacctmgr {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _start_database(settings: ClusterSettings) -> None:
    require_free(settings.database_port, owner="mariadbd")
    data, log = settings.folder / "mysql", settings.folder / "log" / "mariadb.log"
    if not (data / "made").exists():
        _make_database(settings, data=data)
    with log.open("ab") as output:
        subprocess.run(
            [
                "setsid",
                "--fork",
                *_server(data),
                "--innodb-lock-wait-timeout=900",
                f"--bind-address={LOOPBACK}",
                f"--port={settings.database_port}",
                f"--socket={settings.folder}/run/mysql.sock",
                f"--pid-file={settings.folder}/run/mariadbd.pid",
                f"--init-file={settings.folder}/etc/init.sql",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
        )
    wait_for("mariadbd", lambda: listens(settings.database_port), log=log)


def _make_database(settings: ClusterSettings, *, data: Path) -> None:
    """Make the system tables by the server itself: mariadb-install-db is in a package of its own."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    statements = FROM_NOTHING + "".join((SYSTEM_TABLES / name).read_text() for name in TABLES)
    log = settings.folder / "log" / "mariadb-tables.log"
    with log.open("wb") as output:
        done = subprocess.run([*_server(data), "--bootstrap"], input=statements.encode(), stdout=output, stderr=output)
    if done.returncode:
        raise ClusterError(f"mariadbd made no tables: {tail(log)}")
    (data / "made").touch()


def _server(data: Path) -> list[str]:
    """Return the command of a small database that need not outlive the machine."""
    return [
        "mariadbd",
        "--no-defaults",
        "--user=root",
        f"--datadir={data}",
        "--skip-log-bin",
        "--skip-name-resolve",
        "--open-files-limit=4096",
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=8M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
    ]


def _environment(settings: ClusterSettings) -> dict[str, str]:
    return {**os.environ, **settings.environment}
