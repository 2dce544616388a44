"""Reasons in words: one sentence a code, in English and Indonesian, filled from `Reason.values`.

Models only give codes and numbers; whoever shows them says them in the reader's language.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from ingest.contract.rows import Reason

Language: TypeAlias = Literal["en", "id"]

SENTENCES: Final[dict[str, dict[Language, str]]] = {
    "zone": {
        "en": "Vibration is {velocity_mm_s:.1f} mm/s, ISO 10816-3 zone {zone} (limit {limit_mm_s:.1f} mm/s)",
        "id": "Getaran {velocity_mm_s:.1f} mm/s, zona {zone} ISO 10816-3 (batas {limit_mm_s:.1f} mm/s)",
    },
    "level_rise": {
        "en": "{channel} is {factor:.1f} times its normal level (+{db:.0f} dB)",
        "id": "{channel} {factor:.1f} kali tingkat normalnya (+{db:.0f} dB)",
    },
    "evidence": {
        "en": "{channel} differs from its own past: {ratio:.1f} times the alarm threshold",
        "id": "{channel} berbeda dari riwayatnya sendiri: {ratio:.1f} kali ambang alarm",
    },
    "temperature_limit": {
        "en": "Temperature is {temperature_c:.0f} degC, the limit of this machine is {limit_c:.0f} degC",
        "id": "Suhu {temperature_c:.0f} derajat C, batas mesin ini {limit_c:.0f} derajat C",
    },
    "bearing_line": {
        "en": "Impacts at {part} are {prominence:.1f} times the middle of all bearing lines ({axis} axis)",
        "id": "Benturan pada {part} {prominence:.1f} kali nilai tengah semua garis bantalan (sumbu {axis})",
    },
    "bearing_rise": {
        "en": "Impacts at the {part} frequency are {factor:.1f} times their normal level",
        "id": "Benturan pada frekuensi {part} {factor:.1f} kali tingkat normalnya",
    },
    "impacts": {
        "en": "The signal is impulsive: kurtosis {kurtosis:.1f} (3 is smooth running)",
        "id": "Sinyal bersifat impulsif: kurtosis {kurtosis:.1f} (3 berarti halus)",
    },
    "order_1": {
        "en": "Vibration once per turn has grown {factor:.1f} times, more than its multiples",
        "id": "Getaran satu kali per putaran naik {factor:.1f} kali, lebih dari kelipatannya",
    },
    "order_2": {
        "en": "Vibration twice per turn has grown {factor:.1f} times",
        "id": "Getaran dua kali per putaran naik {factor:.1f} kali",
    },
    "harmonics": {
        "en": "A row of harmonics of the speed has grown {factor:.1f} times",
        "id": "Deretan harmonik putaran naik {factor:.1f} kali",
    },
    "mesh": {
        "en": "Vibration at the tooth frequency has grown {factor:.1f} times",
        "id": "Getaran pada frekuensi gigi naik {factor:.1f} kali",
    },
    "mesh_sidebands": {
        "en": "Sidebands around the tooth frequency have grown {factor:.1f} times",
        "id": "Pita sisi frekuensi gigi naik {factor:.1f} kali",
    },
    "high_band": {
        "en": "Vibration of 3 to 10 kHz has grown {factor:.1f} times",
        "id": "Getaran 3 sampai 10 kHz naik {factor:.1f} kali",
    },
    "twice_mains": {
        "en": "Vibration at twice the mains frequency has grown {factor:.1f} times",
        "id": "Getaran pada dua kali frekuensi listrik naik {factor:.1f} kali",
    },
    "phase_imbalance": {
        "en": "Phase currents differ by {percent:.0f} %",
        "id": "Arus antar fase berbeda {percent:.0f} %",
    },
    "temperature_rise": {
        "en": "{channel} is {rise_k:.0f} K above what is normal at this load",
        "id": "{channel} {rise_k:.0f} K di atas normal pada beban ini",
    },
    "sensor_dead": {
        "en": "The machine runs but its vibration sensor is silent: check the cable and the mounting",
        "id": "Mesin berjalan tetapi sensor getarannya diam: periksa kabel dan pemasangan",
    },
    "sensor_saturated": {
        "en": "The sensor is out of its range in {percent:.1f} % of samples: its values are too low",
        "id": "Sensor melewati jangkauan pada {percent:.1f} % sampel: nilainya terlalu rendah",
    },
    "sensor_loose": {
        "en": "Slow swings grew {factor:.0f} times, more than a fault makes: the sensor may be loose",
        "id": "Ayunan lambat naik {factor:.0f} kali, melebihi gejala kerusakan: sensor mungkin longgar",
    },
    "sensor_unit": {
        "en": "All levels rose {factor:.1f} times at once: check the sensor's unit or range",
        "id": "Semua naik {factor:.1f} kali sekaligus: periksa satuan atau jangkauan sensor",
    },
    "learning": {
        "en": "Learning what is normal here: {rows:.0f} of {needed:.0f} rows",
        "id": "Sedang mempelajari keadaan normal: {rows:.0f} dari {needed:.0f} baris",
    },
    "settling": {
        "en": "The machine started {minutes:.0f} minutes ago and is still settling",
        "id": "Mesin mulai {minutes:.0f} menit lalu dan masih menyesuaikan diri",
    },
    "relation_broke": {
        "en": "The usual relation between {channel} and {other} broke ({ratio:.1f} times its limit)",
        "id": "Hubungan yang biasa antara {channel} dan {other} putus ({ratio:.1f} kali batasnya)",
    },
    "rare_together": {
        "en": "{channel} and {other} are together where they have rarely been ({ratio:.1f} times the limit)",
        "id": "{channel} dan {other} bersama-sama jarang seperti ini ({ratio:.1f} kali batasnya)",
    },
    "champion_finds": {
        "en": "The plant's trained model {model} also finds this machine strange",
        "id": "Model terlatih pabrik {model} juga menilai mesin ini tidak biasa",
    },
    "risk": {
        "en": "Health is {health:.0f} of 100 and has been so for {seconds:.0f} s",
        "id": "Kesehatan {health:.0f} dari 100 selama {seconds:.0f} detik",
    },
}


def sentence(reason: Reason, language: Language) -> str:
    """The reason in words. Raises KeyError for a code that has no sentence, or a value that it lacks.

    >>> sentence(Reason("impacts", {"kurtosis": 7.25}), "en")
    'The signal is impulsive: kurtosis 7.2 (3 is smooth running)'
    """
    return SENTENCES[reason.code][language].format(**reason.values)
