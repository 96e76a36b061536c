// Where a page takes scans from: a reader that types. Readers on the till's own ports come over the event stream.

import { listen } from "./wedge.js";

export function onScan(take) {
  listen({ take });
}
