"""Owns the routes of the second factor: the second step of signing in, and setting, listing and removing factors."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from ...messages import Conflict, InvalidInput, NotFound, _
from .. import factors, passkeys, recovery, sign_in, totp
from ..api import address, body, note, owner, parts, require_step_up
from ..attempts import place_of
from .auth import one_of, refused_passkeys, signed_in, spend_code

blueprint = Blueprint("factors", __name__, url_prefix="/api/auth")


@blueprint.post("/login/passkey")
def sign_in_options() -> Response:
    """Return what the browser asks a passkey for: as the second step, or without `pending` in place of both."""
    given = body("PendingOnly")
    place = passkeys.require_place(request.environ)
    sign_ins = parts().sign_ins
    pending = given.get("pending") or sign_ins.begin(place_of(address()), sign_in.require_password(), alone=True)
    alone = sign_ins.find(pending).alone
    options = passkeys.options_to_use(place, sign_ins.ask(pending, place), verified=alone, named=not alone)
    return jsonify({"pending": pending, "options": options})


@blueprint.post("/login/factor")
def second_step() -> Response:
    """End a sign-in that waits for its second step: by a code of the app, a passkey, or a recovery code."""
    given = body("SecondStep")
    pending, sign_ins = given["pending"], parts().sign_ins
    waiting = sign_ins.find(pending)
    alone = waiting.alone
    way = one_of(given, (factors.PASSKEY,) if alone else (factors.TOTP, factors.RECOVERY, factors.PASSKEY))
    parts().attempts.count("login", address())
    sign_ins.count(pending)
    if way == factors.PASSKEY:
        place = passkeys.place_of(request.environ)
        with refused_passkeys():
            passkeys.use(given[way], place, sign_ins.take(pending, place), verified=alone)
    else:
        spend_code(way, given[way])
    sign_ins.end(pending)
    answer = {"ok": True, "recovery_left": recovery.left()}
    return signed_in(answer, waiting.password_mark, way if alone else f"password, {way}")


@blueprint.post("/step-up/passkey")
def step_up_options() -> Response:
    """Return what the browser asks a passkey for, to prove again who sits at it."""
    body("Nothing")
    place = passkeys.require_place(request.environ)
    challenge = parts().challenges.new(owner(), "step-up", place)
    return jsonify({"options": passkeys.options_to_use(place, challenge, verified=True)})


@blueprint.get("/factors")
def listed() -> Response:
    """List the factors that are set, and how many recovery codes are left."""
    return jsonify(
        {
            "totp_since": totp.since(),
            "passkeys": [
                {
                    "id": key.credential_id,
                    "name": key.name,
                    "rp_id": key.rp_id,
                    "origin": key.origin,
                    "created_at": key.created_at,
                    "last_used_at": key.last_used_at,
                }
                for key in passkeys.listed()
            ],
            "recovery_left": recovery.left(),
        }
    )


@blueprint.post("/factors/totp")
def offer_totp() -> Response:
    """Return a new secret for an authenticator app; it is asked for once a code of it has been sent."""
    body("Nothing")
    require_step_up()
    offer = totp.offer(request.host[:100])
    parts().offers.keep(owner(), offer.secret)
    return jsonify({"secret": offer.secret, "uri": offer.uri, "picture": offer.picture})


@blueprint.post("/factors/totp/confirm")
def switch_totp_on() -> Response:
    """Let codes of the secret that was offered be asked for from now on."""
    given = body("Code")
    require_step_up()
    secret = parts().offers.of(owner())
    if not secret:
        raise Conflict(_("this secret is offered no longer"), _("begin again"))
    if not totp.switch_on(secret, given["code"]):
        raise InvalidInput(
            _("the code is wrong"), _("is the clock of the phone, and of this server, right?"), field="code"
        )
    parts().offers.drop(owner())
    return _changed("factor-added", "totp")


@blueprint.delete("/factors/totp")
def switch_totp_off() -> Response:
    """Ask for no codes of an app any more."""
    body("Nothing")
    require_step_up()
    if not totp.switch_off():
        raise NotFound(_("no authenticator app is set up"))
    return _changed("factor-removed", "totp")


@blueprint.post("/factors/passkeys/options")
def passkey_options() -> Response:
    """Return what the browser asks for a new passkey."""
    body("Nothing")
    require_step_up()
    place = passkeys.require_place(request.environ)
    challenge = parts().challenges.new(owner(), "add", place)
    return jsonify({"options": passkeys.options_to_add(place, challenge)})


@blueprint.post("/factors/passkeys")
def add_passkey() -> Response:
    """Keep a new passkey; it belongs to the address under which this page was opened."""
    given = body("NewPasskey")
    require_step_up()
    place = passkeys.require_place(request.environ)
    with refused_passkeys():
        challenge = parts().challenges.take(owner(), "add", place)
        passkeys.add(given["name"], given["passkey"], place, challenge)
    return _changed("factor-added", f"passkey {given['name'].strip()}, {place.rp_id}")


@blueprint.delete("/factors/passkeys/<credential_id>")
def remove_passkey(credential_id: str) -> Response:
    """Forget one passkey."""
    body("Nothing")
    require_step_up()
    key = passkeys.remove(credential_id)
    return _changed("factor-removed", f"passkey {key.name}, {key.rp_id}")


@blueprint.post("/factors/recovery-codes")
def make_recovery_codes() -> Response:
    """Make new recovery codes, shown this once; those of before are good no longer."""
    body("Nothing")
    require_step_up()
    if not factors.are_set():
        raise Conflict(_("there is no second factor that they could stand in for"))
    codes = recovery.make()
    note("recovery-codes-made", detail=str(len(codes)))
    return jsonify({"recovery_codes": codes, "unlocked_seconds": _ask_again()})


def _changed(event: str, detail: str) -> Response:
    """Note a change of factors, and return the answer: with the first factor come recovery codes, shown this once."""
    note(event, detail=detail)
    answer: dict[str, Any] = {"ok": True}
    if factors.are_set():
        codes = factors.codes_for_first()
        if codes:
            note("recovery-codes-made", detail=str(len(codes)))
            answer["recovery_codes"] = codes
    else:
        factors.drop_codes_of_none()
    return jsonify(answer | {"unlocked_seconds": _ask_again()})


def _ask_again() -> int:
    """Let every browser prove itself again, and sign-ins that wait begin anew."""
    parts().sign_ins.end()
    parts().challenges.forget()
    sign_in.forget_proofs()
    return 0
