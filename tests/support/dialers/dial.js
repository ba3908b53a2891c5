// Dials leads with retell-sdk, so many at once, as a program does that knows nothing of callguard.
//
//     node dial.js FIRST COUNT AT_ONCE
//
// Its only settings are RETELL_API_KEY and RETELL_BASE_URL in the environment. Prints a line of
// JSON for each lead: its call, or the SDK's error. The SDK's own retries stay as they are.
"use strict";

const Retell = require("retell-sdk");

const [first, count, atOnce] = process.argv.slice(2).map(Number);
const retell = new Retell();
let next = first;

async function dial(lead) {
  const begun = process.hrtime.bigint();
  const said = { lead };
  try {
    const call = await retell.call.createPhoneCall({
      from_number: "+14157774444",
      to_number: `+1213${String(lead).padStart(7, "0")}`,
      metadata: { lead },
      idempotency_key: `campaign-7/${lead}`,
    });
    said.call_id = call.call_id;
  } catch (error) {
    said.error = error.constructor.name;
    said.status = error.status;
  }
  said.seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  console.log(JSON.stringify(said));
}

async function work() {
  while (next < first + count) await dial(next++);
}

Promise.all(Array.from({ length: atOnce }, work));
