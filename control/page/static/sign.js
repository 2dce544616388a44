// Keys: a passkey in the person's hand, or (demo only) a key file. Both give the same bytes.

import { ALGORITHMS, ENROL, b64, bytesOf, canonical, challenge, derOfRaw, sha256, unb64 } from "./protocol.js";

export async function withPasskey(digest, rpId, credentials) {
  const allowCredentials = credentials.map((one) => ({ type: "public-key", id: unb64(one.id) }));
  const given = await navigator.credentials.get({
    publicKey: { challenge: digest, rpId, allowCredentials, userVerification: "required", timeout: 60000 },
  });
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
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: await challenge(ENROL, canonical({ person, site })),
      rp: { id: rpId, name: "Mitra" },
      user: { id: bytesOf(site + "/" + person), name: person, displayName: name },
      pubKeyCredParams: [{ type: "public-key", alg: -8 }, { type: "public-key", alg: -7 }],
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
      timeout: 60000,
    },
  });
  return {
    v: 1, kind: "passkey", site, person, name, origin: location.origin, rp_id: rpId,
    id: b64(made.rawId),
    clientDataJSON: b64(made.response.clientDataJSON),
    attestationObject: b64(made.response.attestationObject),
  };
}
