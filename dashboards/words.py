"""What the codes of the contract are called by people: tables; a code that is missing is shown as it is."""

from __future__ import annotations

from dashboards.language import N_, Language
from dashboards.picture import Level
from ingest.contract.actions import ActionKind, Verdict
from ingest.contract.channels import TEMPERATURE
from ingest.contract.rows import AlarmState, Condition, Priority
from ingest.contract.values import AXES

CONDITIONS: dict[str, str] = {
    Condition.UNKNOWN: N_("Unknown"),
    Condition.LEARNING: N_("Learning"),
    Condition.STOPPED: N_("Stopped"),
    Condition.NORMAL: N_("Normal"),
    Condition.WARNING: N_("Warning"),
    Condition.ALARM: N_("Alarm"),
}
LEVELS: dict[str, str] = {
    Level.ALARM: N_("Alarm"),
    Level.WARNING: N_("Warning"),
    Level.NORMAL: N_("Normal"),
    Level.STOPPED: N_("Stopped"),
    Level.LEARNING: N_("Learning"),
    Level.UNKNOWN: N_("Unknown"),
}
ZONES: dict[str, str] = {
    "A": N_("Zone A: as new"),
    "B": N_("Zone B: fit for long running"),
    "C": N_("Zone C: fit for a limited time only"),
    "D": N_("Zone D: severe enough to do damage"),
    "": N_("Zone cannot be judged"),
}
FAULTS: dict[str, str] = {
    "healthy": N_("no fault"),
    "bearing": N_("bearing"),
    "rotor": N_("rotor: balance, alignment, fit"),
    "flow": N_("flow through the machine"),
    "thermal": N_("temperature"),
    "process": N_("process values"),
    "bearing_outer": N_("bearing, outer race"),
    "bearing_inner": N_("bearing, inner race"),
    "bearing_ball": N_("bearing, rolling element"),
    "bearing_cage": N_("bearing, cage"),
    "imbalance": N_("imbalance"),
    "misalignment": N_("misalignment"),
    "looseness": N_("mechanical looseness"),
    "gear": N_("gear"),
    "cavitation": N_("cavitation"),
    "electrical": N_("electrical"),
    "lubrication": N_("lubrication"),
    "overheating": N_("overheating"),
    "temperature": N_("temperature"),
    "vibration": N_("vibration"),
    "power": N_("power draw"),
    "anomaly": N_("unusual behaviour"),
    "sensor": N_("sensor fault"),
    "sensor_loose": N_("sensor loose"),
    "sensor_saturated": N_("sensor saturated"),
    "sensor_dead": N_("sensor dead"),
    "sensor_unit": N_("sensor in the wrong unit"),
    "unknown": N_("cause unknown"),
}
PRIORITIES: dict[str, str] = {
    Priority.HIGH: N_("High priority"),
    Priority.MEDIUM: N_("Medium priority"),
    Priority.LOW: N_("Low priority"),
}
STATES: dict[str, str] = {
    AlarmState.NORMAL: N_("Back to normal"),
    AlarmState.UNACKNOWLEDGED: N_("Unacknowledged"),
    AlarmState.ACKNOWLEDGED: N_("Acknowledged"),
    AlarmState.RETURNED: N_("Returned, unacknowledged"),
    AlarmState.SHELVED: N_("Shelved"),
    AlarmState.SUPPRESSED: N_("Suppressed by design"),
    AlarmState.OUT_OF_SERVICE: N_("Out of service"),
}
VERDICTS: dict[str, str] = {
    Verdict.CONFIRMED: N_("Confirmed"),
    Verdict.FALSE_ALARM: N_("False alarm"),
    Verdict.NOT_SURE: N_("Not sure"),
}
ACTIONS: dict[str, str] = {
    ActionKind.ACKNOWLEDGE: N_("acknowledged"),
    ActionKind.VERDICT: N_("gave a verdict"),
    ActionKind.SHELVE: N_("shelved"),
    ActionKind.UNSHELVE: N_("unshelved"),
    ActionKind.OUT_OF_SERVICE: N_("took out of service"),
    ActionKind.RETURN_TO_SERVICE: N_("returned to service"),
    ActionKind.MAINTENANCE: N_("declared maintenance"),
    ActionKind.DOWNTIME_REASON: N_("gave a downtime reason"),
    ActionKind.CLOCK_RELEASE: N_("released a clock"),
    ActionKind.UNDO: N_("took back"),
    ActionKind.PROMOTE_MODEL: N_("wants the challenger promoted"),
    ActionKind.ROLL_BACK_MODEL: N_("wants the earlier champion back"),
    ActionKind.REFUSE_MODEL: N_("refuses the challenger"),
}
CRITICALITIES: dict[str, str] = {
    "low": N_("low"),
    "normal": N_("normal"),
    "high": N_("high"),
    "critical": N_("critical"),
}
ROLES: dict[str, str] = {
    "technician": N_("Technician"),
    "data_scientist": N_("Data scientist"),
    "energy_manager": N_("Energy manager"),
}
EVENTS: dict[str, str] = {
    "raised": N_("raised"),
    "acknowledged": N_("acknowledged"),
    "returned": N_("condition returned to normal"),
    "cleared": N_("cleared"),
    "shelved": N_("shelved"),
    "unshelved": N_("unshelved"),
    "escalated": N_("priority raised"),
    "recurred": N_("came back"),
    "diagnosed": N_("cause narrowed down"),
    "suppressed": N_("suppressed: the machine stands still"),
    "removed_from_service": N_("taken out of service"),
    "restored_active": N_("calls again"),
    "restored_calm": N_("released, condition is normal"),
    "dismissed": N_("dismissed as a false alarm"),
}
CLOCKS: dict[str, str] = {
    "unknown": N_("not judged yet"),
    "good": N_("good"),
    "corrected": N_("steady offset, corrected"),
    "quarantined": N_("jumping, data quarantined"),
}
CHANNELS: dict[str, str] = {
    "velocity_rms_mm_s": N_("vibration velocity"),
    "displacement_rms_um": N_("displacement"),
    "rms_g": N_("vibration level"),
    "peak_g": N_("peak of the vibration"),
    "kurtosis": N_("impulsiveness (kurtosis)"),
    "crest": N_("impulsiveness (crest factor)"),
    "envelope_rms_g": N_("envelope level"),
    "envelope_bpfo_1_g": N_("impacts of the outer race (BPFO)"),
    "envelope_bpfi_1_g": N_("impacts of the inner race (BPFI)"),
    "envelope_bsf_1_g": N_("impacts of the rolling elements (BSF)"),
    "envelope_ftf_1_g": N_("impacts of the cage (FTF)"),
    "band_10_100_g": N_("vibration of 10 to 100 Hz"),
    "band_100_300_g": N_("vibration of 100 to 300 Hz"),
    "band_300_1000_g": N_("vibration of 300 to 1000 Hz"),
    "band_1000_3000_g": N_("vibration of 1 to 3 kHz"),
    "band_3000_6000_g": N_("vibration of 3 to 6 kHz"),
    "band_6000_10000_g": N_("vibration of 6 to 10 kHz"),
    "order_0_5_g": N_("vibration once every two turns"),
    "order_1_g": N_("vibration once per turn"),
    "order_2_g": N_("vibration twice per turn"),
    "order_4_10_g": N_("vibration 4 to 10 times per turn"),
    "mesh_g": N_("vibration at the tooth frequency"),
    "mesh_sidebands_g": N_("sidebands of the tooth frequency"),
    "vane_g": N_("vibration at the vane frequency"),
    "line_2_g": N_("vibration at twice the mains frequency"),
    "Current.unbalance": N_("difference between phase currents"),
    "Power/Active": N_("active power"),
    "Power/Factor": N_("power factor"),
    "Speed": N_("speed"),
}
POINTS: dict[str, str] = {
    "winding": N_("winding"),
    "bearing": N_("bearing"),
    "bearing_de": N_("bearing, drive end"),
    "bearing_nde": N_("bearing, far end"),
    "motor": N_("motor"),
    "gearbox": N_("gearbox"),
    "oil": N_("oil"),
    "housing": N_("housing"),
    "inlet": N_("inlet"),
    "outlet": N_("outlet"),
    "coolant": N_("coolant"),
    "ambient": N_("ambient air"),
}
"""Where a temperature is measured; plants may name points that are not here."""
# The models watch the harmonics of a part as one, under the name that they share.
CHANNELS |= {f"envelope_{part}": CHANNELS[f"envelope_{part}_1_g"] for part in ("bpfo", "bpfi", "bsf", "ftf")}
PRIORITY_LETTER: dict[str, str] = {
    Priority.HIGH: N_("H"),
    Priority.MEDIUM: N_("M"),
    Priority.LOW: N_("L"),
}
GAPS: dict[str, str] = {
    "waveform_thinned": N_("waveforms only: the outbox was filling up"),
    "outbox_full": N_("the outbox was full, the oldest were dropped"),
    "outbox_aged": N_("waited too long in the outbox"),
    "outbox_unavailable": N_("the outbox could not be written"),
    "outbox_damaged": N_("damaged in the outbox"),
    "outbox_corrupt": N_("the outbox file was damaged"),
    "source_broken": N_("the sensor could not be read"),
    "source_hung": N_("the sensor did not answer"),
    "silence": N_("nothing came from the machine"),
    "sequence": N_("numbers of the gateway's sequence never came"),
    "host_overloaded": N_("the server could not keep up"),
    "": N_("no reason given"),
}
"""Why telemetry is missing."""
REFUSALS: dict[str, str] = {
    "alias_twice": N_("one alias for two channels"),
    "array_length": N_("samples that do not fit their type"),
    "axis": N_("an axis that is not x, y or z"),
    "birth_without_name": N_("a channel without a name"),
    "empty": N_("a message without values"),
    "foreign_site": N_("a message of another site"),
    "gap_incomplete": N_("a gap record without its times"),
    "machine_of_another_node": N_("a machine that another gateway speaks for"),
    "metric_name_long": N_("a channel name that is too long"),
    "not_numeric": N_("a value that is not a number"),
    "not_sparkplug": N_("not a Sparkplug B message"),
    "not_utf8": N_("text that is not UTF-8"),
    "overload": N_("the server could not keep up"),
    "oversize": N_("a message that is too large"),
    "rate_limit": N_("more messages a second than a gateway may send"),
    "rate_missing": N_("a waveform without its sampling rate"),
    "scale_missing": N_("a waveform without its scale"),
    "stopped": N_("the server was stopping"),
    "storage_full": N_("the server's disk was full"),
    "time_impossible": N_("a time that no clock can show"),
    "too_many_devices": N_("more machines than one gateway may have"),
    "too_many_holes": N_("too many numbers missing in a gateway's sequence"),
    "too_many_machines": N_("more machines than the server may keep"),
    "too_many_metrics": N_("too many values in one message"),
    "too_many_nodes": N_("more gateways than the server may keep"),
    "too_many_properties": N_("too many properties of one value"),
    "topic_form": N_("a topic in the wrong form"),
    "topic_id": N_("a topic with a forbidden name"),
    "topic_kind": N_("a topic of an unknown kind"),
    "unit": N_("a unit that is not known"),
    "value": N_("a value out of its limits"),
    "void": N_("values that nobody can name before the gateway's birth"),
}
"""Why a message was not taken, as the journal counts it under `refused_`."""
COUNTERS: dict[str, str] = {
    "batches": N_("batches stored"),
    "births": N_("gateways and machines that introduced themselves"),
    "deaths": N_("gateways and machines that signed off or were cut off"),
    "duplicates": N_("messages sent twice, stored once"),
    "duplicates_resent": N_("messages sent twice without a key, stored once"),
    "gap_records": N_("gap records received"),
    "gaps_of_silence": N_("gaps because nothing came"),
    "ignored_commands": N_("commands of other hosts, ignored"),
    "ignored_deaths": N_("farewells of earlier connections, ignored"),
    "quarantined": N_("messages set aside because of a clock"),
    "released": N_("messages taken back from there"),
    "sequence_gaps": N_("gaps in the sequence of a gateway"),
    "states": N_("notices of hosts"),
    "stored_advice": N_("advice of the models stored"),
    "stored_alarm_changes": N_("steps of alarms stored"),
    "stored_gaps": N_("gaps stored"),
    "stored_messages": N_("messages stored"),
    "stored_rows": N_("feature rows stored"),
    "thinned_messages": N_("messages that lost their waveforms"),
}
"""What the journal counts besides refusals."""


def called(table: dict[str, str], code: str, language: Language) -> str:
    """The word for a code; an unknown code is shown with its underscores opened."""
    found = table.get(code)
    return language.say(found) if found is not None else code.replace("_", " ")


def channel(code: str, language: Language) -> str:
    """A column or channel as people call it, with its axis or point."""
    axis, dot, name = code.partition(".")
    if not dot or axis not in AXES:
        axis, name = "", code
    # Extraction does not look inside f-strings, so sentences stand outside of them.
    if name.startswith(TEMPERATURE):
        point = called(POINTS, name[len(TEMPERATURE) :], language)
        return language.say(N_("temperature")) + f" ({point})"
    words = called(CHANNELS, name, language)
    return words + " (" + language.say(N_("{axis} axis")).format(axis=axis) + ")" if axis else words


def sentence_case(text: str) -> str:
    """The first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]
