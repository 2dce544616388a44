"""One machine in words: what the pages print and what the live stream sends, from one place."""

from __future__ import annotations

from dashboards.language import N_, Language
from dashboards.picture import Level, MachineNow, risk
from dashboards.reasons import top
from dashboards.words import CONDITIONS, FAULTS, LEVELS, ZONES, called, sentence_case
from ingest.contract.rows import RemainingLife

AT_THE_LIMIT_H = 1 / 60
ABNORMAL = frozenset({Level.ALARM, Level.WARNING})


def live_words(now: MachineNow, language: Language) -> dict[str, str]:
    """What of a machine changes on screen, by the name of its place on the page."""
    judgement = now.judgement
    return {
        "zone": now.zone or "?",
        "zone_words": called(ZONES, now.zone, language),
        "state": state(now, language),
        "velocity": language.unit(now.velocity_mm_s, "mm/s", 2),
        "temperature": language.unit(now.temperature_c, "°C", 1),
        "power": language.unit(now.power_kw, "kW", 1),
        "speed": language.unit(now.speed_rpm, "rpm"),
        "health": language.number(judgement.health if judgement else None),
        "risk": risk_words(now, language),
        "why": why(now, language),
        "because": because(now, language),
        "life": life(judgement.remaining_life if judgement else None, language),
        "life_range": life_range(judgement.remaining_life if judgement else None, language),
        "fault": fault(now, language),
        "heard": language.clock(now.received_ns),
    }


def state(now: MachineNow, language: Language) -> str:
    """The condition, and the zone's own word when that is worse."""
    if now.judgement is None:
        return called(LEVELS, Level.UNKNOWN, language)
    if now.level in ABNORMAL:
        return called(LEVELS, now.level, language)
    return called(CONDITIONS, now.judgement.condition, language)


def why(now: MachineNow, language: Language) -> str:
    """The first reason, or the diagnosis, or the zone; never empty for what is abnormal."""
    return because(now, language) or language.say(ZONES.get(now.zone, ZONES[""]))


def because(now: MachineNow, language: Language) -> str:
    """The first reason, or the diagnosis, or what the alarm is about; "" when there is nothing to explain."""
    judgement = now.judgement
    calling = now.calling or now.alarms
    reasons = (judgement.reasons if judgement else ()) or (calling[0].last.reasons if calling else ())
    if reasons:
        return top(reasons, language, 1)[0]
    if judgement is not None and judgement.fault not in ("", "healthy"):
        return sentence_case(called(FAULTS, judgement.fault, language))
    if calling:
        return sentence_case(called(FAULTS, calling[0].last.cause, language))
    return ""


def fault(now: MachineNow, language: Language) -> str:
    """The diagnosis with its confidence."""
    judgement = now.judgement
    if judgement is None:
        return language.say(N_("unknown"))
    if not judgement.fault:
        return language.say(N_("none"))
    named = sentence_case(called(FAULTS, judgement.fault, language))
    return f"{named} ({language.percent(judgement.confidence)})" if judgement.confidence > 0 else named


def risk_words(now: MachineNow, language: Language) -> str:
    """The risk in percent; what stands still or was never judged has none."""
    if now.judgement is None:
        return language.say(N_("unknown"))
    if now.level is Level.STOPPED:
        return language.say(N_("none: it stands still"))
    return language.percent(risk(now))


def life(found: RemainingLife | None, language: Language) -> str:
    """Time until the fault's signal reaches its limit, that it has, or that it is too early to say.

    At the limit nobody knows the hours that are left: the machine may run on, even in ISO zone A.
    """
    if found is None or found.hours is None:
        return language.say(N_("too early to say"))
    if found.hours < AT_THE_LIMIT_H:
        return language.say(N_("limit reached"))
    return language.span(found.hours * 3600)


def life_range(found: RemainingLife | None, language: Language) -> str:
    """Its 90 % interval, or which limit is reached; "" when there is nothing to add."""
    if found is None or found.lower_hours is None or found.upper_hours is None:
        return ""
    if found.upper_hours < AT_THE_LIMIT_H:
        return language.say(
            N_(
                "the fault's own signal has grown to where the part counts as worn out: plan its repair now. "
                "The ISO zone says how strong the vibration as a whole is"
            )
        )
    low, high = language.span(found.lower_hours * 3600), language.span(found.upper_hours * 3600)
    return language.say(N_("90 %: {low} to {high}")).format(low=low, high=high)
