// The words of an approved stop, as the actuator knows them: bytes, digests, and whether the edge really spoke.

const TEXT = new TextEncoder();
const STRICT = new TextDecoder("utf-8", { fatal: true });
export const APPROVAL = "mitra.approval.v1";
export const LOGIN = "mitra.login.v1";
export const ENROL = "mitra.enrol.v1";
const TICKET = "mitra.ticket.v1";
const FIELDS = ["action", "approvals_needed", "edge", "edge_nonce", "evidence_sha256", "expires", "issued", "machine",
  "policy_version", "presence", "proposal_id", "reason", "site", "ticket_sha256", "v"];

export class Lie extends Error {}

export const bytesOf = (text) => TEXT.encode(text);

export function b64(data) {
  let text = "";
  for (const byte of new Uint8Array(data)) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function unb64(text) {
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(raw, (one) => one.charCodeAt(0));
}

export const hex = (data) => Array.from(new Uint8Array(data), (one) => one.toString(16).padStart(2, "0")).join("");

// RFC 8785 for the flat objects of strings and whole numbers that are signed here.
export const canonical = (found) =>
  "{" + Object.keys(found).sort().map((key) => JSON.stringify(key) + ":" + JSON.stringify(found[key])).join(",") + "}";

export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

export async function challenge(domain, text) {
  return sha256(bytesOf(domain + "\0" + text));
}

// ECDSA signatures come in DER; WebCrypto wants r and s side by side.
function rawOfDer(der) {
  const part = (at) => {
    const size = der[at + 1];
    return [der.slice(at + 2, at + 2 + size), at + 2 + size];
  };
  const [r, next] = part(2);
  const [s] = part(next);
  const out = new Uint8Array(64);
  const put = (number, end) => {
    const kept = number.slice(Math.max(0, number.length - 32));
    out.set(kept, end - kept.length);
  };
  put(r, 32);
  put(s, 64);
  return out;
}

export function derOfRaw(raw) {
  const part = (number) => {
    let from = 0;
    while (from < 31 && number[from] === 0) from += 1;
    const kept = number.slice(from);
    const body = kept[0] & 0x80 ? [0, ...kept] : [...kept];
    return [2, body.length, ...body];
  };
  const body = [...part(raw.slice(0, 32)), ...part(raw.slice(32))];
  return Uint8Array.from([48, body.length, ...body]);
}

export const ALGORITHMS = {
  Ed25519: [{ name: "Ed25519" }, { name: "Ed25519" }],
  ES256: [{ name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", hash: "SHA-256" }],
};

async function isSigned(key, signature, data) {
  const [kind, how] = ALGORITHMS[key.alg];
  const made = await crypto.subtle.importKey("raw", unb64(key.public_key), kind, false, ["verify"]);
  const given = unb64(signature);
  return crypto.subtle.verify(how, made, key.alg === "ES256" ? rawOfDer(given) : given, data);
}

// The proposal and the edge's ticket, or Lie: only what the edge signed and what will be signed is ever shown.
export async function readProposal(answer, site, edges) {
  const raw = unb64(answer.proposal);
  const proposal = JSON.parse(STRICT.decode(raw));
  if (STRICT.decode(raw) !== canonical(proposal)) throw new Lie("canonical");
  if (Object.keys(proposal).sort().join() !== FIELDS.join()) throw new Lie("fields");
  if (proposal.action !== "stop" || proposal.v !== 1) throw new Lie("action");
  if (proposal.site !== site) throw new Lie("site");
  if (proposal.proposal_id !== answer.id || proposal.machine !== answer.machine) throw new Lie("machine");
  const wire = JSON.parse(answer.ticket);
  const key = edges.find((one) => one.site === site && one.edge === proposal.edge && one.key_id === wire.key);
  if (!key) throw new Lie("edge");
  const body = unb64(wire.body);
  const signed = new Uint8Array([...bytesOf(TICKET + "\0"), ...body]);
  if (!(await isSigned(key, wire.signature, signed))) throw new Lie("ticket");
  const ticket = JSON.parse(STRICT.decode(body));
  if (hex(await sha256(body)) !== proposal.ticket_sha256 || ticket.nonce !== proposal.edge_nonce) throw new Lie("ticket");
  for (const name of ["site", "edge", "machine", "policy_version"]) {
    if (ticket[name] !== proposal[name]) throw new Lie(name);
  }
  return { proposal, ticket };
}

const DAMM = ["0317598642", "7092154863", "4206871359", "1750983426", "6123045978", "3674209581", "5869720134",
  "8945362017", "9438617205", "2581436790"];

export function isPresence(code) {
  if (!/^[0-9]{6}$/.test(code)) return false;
  let state = 0;
  for (const digit of code) state = Number(DAMM[state][Number(digit)]);
  return state === 0;
}
