// Asks the provider for what goes well and what doesn't, and prints what retell-sdk makes of each.
//
//     node ask.js
"use strict";

const Retell = require("retell-sdk");

const retell = new Retell({ maxRetries: 0 });
const stranger = new Retell({ maxRetries: 0, apiKey: "key_of_a_stranger" });
const lead = { from_number: "+14157774444", to_number: "+12137774445" };

const asked = [
  () => retell.concurrency.retrieve(),
  () => retell.call.retrieve("call_of_nobody"),
  () => retell.call.list({ limit: 5 }),
  () => retell.call.list({ limit: 5000 }),
  () => retell.agent.list(),
  () => retell.call.createPhoneCall(lead),
  () => retell.call.createPhoneCall({ ...lead, metadata: [] }),
  () => stranger.concurrency.retrieve(),
  () => stranger.call.createPhoneCall(lead),
];

async function main() {
  for (const ask of asked) {
    try {
      console.log(Object.keys(await ask()).sort().join());
    } catch (error) {
      console.log(error.constructor.name, error.status, error.message, JSON.stringify(error.error));
    }
  }
}

main();
