// The paper of an act that is done: the till lays it out, with what only this page knows on it.

import { post } from "./api.js";
import { refusalOf } from "./told.js";

// Of a slip to show: its text, or why there is none. The act itself stands either way, so it is never told as refused.
export async function paperOf(kind, desk, body) {
  try {
    const { text } = await post(`/v1/slips/${kind}`, { ...desk.stamp(), ...body });
    return { text, list: [] };
  } catch (problem) {
    return { text: "", list: [refusalOf(problem)] };
  }
}
