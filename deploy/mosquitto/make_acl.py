"""Write Mosquitto's access list for a plant: `python deploy/mosquitto/make_acl.py plant.toml > acl`.

The accounts and their topics are those of `mitra.accounts`, the one table that the embedded broker uses too.
There is no pattern and no `%u`: every line names its account, gateway and topic; the rest is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from ingest.contract.plant import PlantError, parse_plant
from mitra.accounts import Account, accounts

HOST_ID = "mitra"


def access_list(listed: Iterable[Account]) -> str:
    """The text of Mosquitto's `acl_file`."""
    blocks = []
    for account in listed:
        lines = [f"user {account.user}"]
        lines += [f"topic write {topic}" for topic in account.publish]
        lines += [f"topic read {topic}" for topic in account.subscribe]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def main() -> int:
    """Print the access list of the plant file that is named."""
    if len(sys.argv) != 2:
        print("usage: python deploy/mosquitto/make_acl.py plant.toml > acl", file=sys.stderr)  # noqa: T201
        return 2
    path = Path(sys.argv[1])
    try:
        plant = parse_plant(path.read_text("utf-8"), str(path))
    except (OSError, PlantError) as error:
        print(f"no access list was made, the broker keeps its old one: {error}", file=sys.stderr)  # noqa: T201
        return 3
    print(access_list(accounts(plant.site, (gateway.id for gateway in plant.gateway), HOST_ID)), end="")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
