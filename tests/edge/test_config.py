"""What a person writes into edge.toml: right, or one sentence that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config import AgentConfig, Broker, ConfigError, load_config, parse_config

RIGHT = """
plant = "plant.toml"
gateway = "gw-1"
broker = "mqtts://ed%40ge:s%3Aecret@broker.plant.lan"
data_dir = "edge"
"""


def test_paths_start_at_the_file_and_limits_are_in_bytes() -> None:
    config = parse_config(RIGHT + "outbox_max_mb = 2\nca = 'ca.pem'\n", Path("/etc/mitra"))
    assert config.plant == "/etc/mitra/plant.toml"
    assert config.limits.max_bytes == 2 * 1024 * 1024
    broker = config.broker_address()
    assert broker == Broker("broker.plant.lan", 8883, "ed@ge", "s:ecret", True, "/etc/mitra/ca.pem")
    assert "s:ecret" not in str(broker)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("gatway = 'x'", "gatway"),
        ("mqtt_version = '3'", "mqtt_version"),
        ("outbox_max_mb = 0", "outbox_max_mb"),
        ("host_id = 'A'", "host_id"),
        ("cert = 'c.pem'", "cert and key"),
        ("nonsense", "not valid TOML"),
    ],
)
def test_a_mistake_is_named(line: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_config(f"{RIGHT}{line}\n", Path())


@pytest.mark.parametrize(
    "url", ["broker:1883", "http://b", "mqtt://", "mqtt://b:99999", "mqtt://b/topic", "mqtt://b?x=1"]
)
def test_a_broker_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="broker"):
        parse_config(RIGHT.replace("mqtts://ed%40ge:s%3Aecret@broker.plant.lan", url), Path())


def test_certificates_without_tls_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match="mqtts"):
        parse_config(RIGHT.replace("mqtts", "mqtt") + "ca = 'ca.pem'\n", Path())


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_every_key_is_in_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "edge.md").read_text()
    assert [key for key in AgentConfig.__struct_fields__ if f"`{key}`" not in text] == []
