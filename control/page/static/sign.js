// Keys: a passkey in the person's hand, or (demo only) a key file. Both give the same bytes.

import { ALGORITHMS, ENROL, b64, bytesOf, canonical, challenge, derOfRaw, sha256, unb64 } from "./protocol.js";

export const WAIT_S = 60;
const SLOW_BROWSER_MS = 1000;
let asked = null;

// Why no key answered: "replaced" by a newer question or another screen, "cancelled", "time", or "none" here at all.
export class NoKey extends Error {}

// Take the open question back, if there is one: an answer that still comes is thrown away.
export function withdraw(why = "replaced") {
  if (asked) asked.end(why);
}

// One question to the person's keys at a time: a browser refuses a second one while the first is open.
async function ask(start) {
  if (!window.PublicKeyCredential) throw new NoKey("none");
  const before = asked;
  withdraw();
  const stop = new AbortController();
  const mine = { why: "" };
  mine.over = new Promise((done) => { mine.done = done; });
  mine.end = (why) => { mine.why ||= why; stop.abort(); };
  asked = mine;
  const timer = setTimeout(() => mine.end("time"), WAIT_S * 1000);
  try {
    if (before) await Promise.race([before.over, new Promise((done) => { setTimeout(done, SLOW_BROWSER_MS); })]);
    const given = mine.why ? null : await start(stop.signal);
    if (mine.why) throw new NoKey(mine.why);
    return given;
  } catch (error) {
    if (mine.why) throw new NoKey(mine.why);
    throw error.name === "NotAllowedError" ? new NoKey("cancelled") : error;
  } finally {
    clearTimeout(timer);
    if (asked === mine) asked = null;
    mine.done();
  }
}

// The browser's own limit comes after ours, so that it is always known which of the two ended it.
const BROWSER_WAIT_MS = (WAIT_S + 10) * 1000;

export async function withPasskey(digest, rpId, credentials) {
  const allowCredentials = credentials.map((one) => ({ type: "public-key", id: unb64(one.id) }));
  const given = await ask((signal) => navigator.credentials.get({
    signal,
    publicKey: { challenge: digest, rpId, allowCredentials, userVerification: "required", timeout: BROWSER_WAIT_MS },
  }));
  return {
    credential: b64(given.rawId),
    clientDataJSON: b64(given.response.clientDataJSON),
    authenticatorData: b64(given.response.authenticatorData),
    signature: b64(given.response.signature),
  };
}

export async function withDemoKey(digest, rpId, key) {
  const [kind, how] = ALGORITHMS[key.alg];
  const made = await crypto.subtle.importKey("pkcs8", unb64(key.private_key), kind, false, ["sign"]);
  const client = bytesOf(JSON.stringify({
    type: "webauthn.get", challenge: b64(digest), origin: location.origin, crossOrigin: false,
  }));
  const data = new Uint8Array([...(await sha256(bytesOf(rpId))), 5, 0, 0, 0, 0]);
  const signed = new Uint8Array([...data, ...(await sha256(client))]);
  const raw = new Uint8Array(await crypto.subtle.sign(how, made, signed));
  return {
    credential: key.credential,
    clientDataJSON: b64(client),
    authenticatorData: b64(data),
    signature: b64(key.alg === "ES256" ? derOfRaw(raw) : raw),
  };
}

// A new device-bound passkey, as a file for the plant leads. Nothing is sent anywhere.
export async function enrol(site, person, name, rpId) {
  const digest = await challenge(ENROL, canonical({ person, site }));
  const made = await ask((signal) => navigator.credentials.create({
    signal,
    publicKey: {
      challenge: digest,
      rp: { id: rpId, name: "Mitra" },
      user: { id: bytesOf(site + "/" + person), name: person, displayName: name },
      pubKeyCredParams: [{ type: "public-key", alg: -8 }, { type: "public-key", alg: -7 }],
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
      timeout: BROWSER_WAIT_MS,
    },
  }));
  return {
    v: 1, kind: "passkey", site, person, name, origin: location.origin, rp_id: rpId,
    id: b64(made.rawId),
    clientDataJSON: b64(made.response.clientDataJSON),
    attestationObject: b64(made.response.attestationObject),
  };
}
