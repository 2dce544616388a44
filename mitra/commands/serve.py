"""`mitra serve`: a real plant: broker, stream, screens; gateways and control here too if wanted."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import typer

from mitra.commands.speech import err, say
from mitra.exits import PersonError
from mitra.serve import Serve, ServeRequest, prepare
from mitra.supervisor import StartError, WrongSettingError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
NOTE_S = 2.0


def port(what: str) -> Any:
    """An option for a port of this machine."""
    return typer.Option(min=1, max=65535, help=what)


@app.command()
def serve(
    plant: Annotated[Path, typer.Argument(help="The plant file (`mitra plant new` writes a first one).")],
    data: Annotated[Path, typer.Option(help="Where everything is kept; made when missing.")] = Path(
        "mitra-data"
    ),
    broker: Annotated[
        str, typer.Option(help="Your broker, as mqtts://broker:8883; default: an embedded one, here only.")
    ] = "",
    ca: Annotated[Path | None, typer.Option(help="PEM file that vouches for your broker.")] = None,
    host: Annotated[str, typer.Option(help="Where the screens listen; 0.0.0.0 = everywhere.")] = "127.0.0.1",
    public_url: Annotated[str, typer.Option(help="How browsers name the screens, behind a proxy.")] = "",
    screens_port: Annotated[int, port("Port of the screens.")] = 8080,
    broker_port: Annotated[int, port("Port of the embedded broker.")] = 1883,
    control_port: Annotated[int, port("Port of control, with --with-control.")] = 8443,
    page_port: Annotated[int, port("Port of the page on which people sign, with --with-control.")] = 8444,
    with_gateways: Annotated[
        bool, typer.Option("--with-gateways", help="Run the agents of all gateways here too.")
    ] = False,
    with_control: Annotated[
        bool, typer.Option("--with-control", help="Run control and the approver's page here too.")
    ] = False,
    influx: Annotated[
        Path | None, typer.Option(help="TOML file with url, bucket, org, token: copy the history there too.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=16, help="Threads that make features; 0: half of the cores.")
    ] = 0,
    work_orders: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on which closed work orders are taken; 0: none.")
    ] = 0,
    order_fault: Annotated[
        list[str] | None, typer.Option(help="Their fault code = ours, as BRG01=bearing_outer; repeatable.")
    ] = None,
    order_field: Annotated[
        list[str] | None, typer.Option(help="Our field = theirs, as machine=Aset; repeatable.")
    ] = None,
    profile: Annotated[
        Literal["plant", "demo"], typer.Option(help="How fast models learn: demo is for minutes, not months.")
    ] = "plant",
) -> None:
    """Receive, judge and show a plant until Ctrl-C, SIGTERM or SIGHUP, then stop everything in order.

    What falls is started again. Passwords of the broker's accounts are made at the first start and kept in
    `DATA/broker/accounts.json`.

    Example: `mitra serve plant.toml --data plant-data --with-gateways`
    """
    request = ServeRequest(
        plant=plant,
        data=data,
        broker=broker,
        ca=ca,
        host=host,
        broker_port=broker_port,
        screens_port=screens_port,
        control_port=control_port,
        page_port=page_port,
        public_url=public_url.rstrip("/"),
        with_gateways=with_gateways,
        with_control=with_control,
        profile=profile,
        influx=influx,
        workers=workers,
        orders_port=work_orders,
        order_faults=tuple(order_fault or ()),
        order_fields=tuple(order_field or ()),
    )
    _run(prepare(request))


def _run(running: Serve) -> None:
    """Serve until a signal. Raises PersonError."""
    closing = threading.Event()
    _end_on_signals(running, closing)
    try:
        _start(running)
        _welcome(running)
        _look_after(running, closing)
    except WrongSettingError as error:
        raise PersonError("setting", f"The plant is not served: {error}") from error
    except StartError as error:
        if not closing.is_set():
            raise PersonError("missing", f"The plant is not served: {error}") from error
    finally:
        running.stop()


def _end_on_signals(running: Serve, closing: threading.Event) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        closing.set()
        running.supervisor.give_up()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` wants it to live on
        signal.signal(signal.SIGHUP, stop)  # the terminal was closed


def _look_after(running: Serve, closing: threading.Event) -> None:
    """Until it is time to end: write down how it is, and do what people asked for meanwhile."""
    is_told = False
    while not closing.wait(NOTE_S):
        try:
            running.note()
            is_told = False
        except PersonError as error:  # a full disk must not end what still runs
            if not is_told:
                err.print(f"{error} The plant runs on.", highlight=False, markup=False, soft_wrap=True)
            is_told = True
        running.clerk.look()
        if running.accounts_changed():
            _restart_screens(running)
    err.print("stopping, the gateways first")


def _start(running: Serve) -> None:
    with err.status("starting") as status:
        running.start(lambda what: status.update(f"starting {what}"))


def _restart_screens(running: Serve) -> None:
    err.print("accounts changed: the screens start again")
    try:
        running.restart_screens()
    except StartError as error:
        err.print(f"{error}; the plant runs on, and they are tried again", highlight=False, markup=False)


def _welcome(running: Serve) -> None:
    say(f"broker     {running.broker}")
    for what, url in running.urls.items():
        say(f"{what:10} {url}")
    if running.house.layout.users.stat().st_size == 0:
        err.print(
            "Nobody has an account yet, so the screens only show: "
            f"`mitra user add NAME --role technician --data {running.request.data}`.",
            highlight=False,
            soft_wrap=True,
        )
    err.print("Ctrl-C stops everything.")
