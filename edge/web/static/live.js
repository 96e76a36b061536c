// One event stream for a page. When it falls silent the page is told; when too many screens listen, it asks instead.

const SILENT_MS = 12000; // beats come every 3 s
const POLL_MS = 2000;
const AGAIN_MS = 10000;  // from asking back to the stream

// `place` is "" for the customer's display, or the page whose session may be told more.
// onScreen(screen); onNotice({say, code}); onLine("live" | "asking" | "silent")
export function follow({ place = "", onScreen, onNotice = () => {}, onLine }) {
  const query = place ? `?for=${place}` : "";
  let lastHeard = Date.now(), stands = "live", wanted = "live", lastNotice = 0;

  function stand(next) {
    if (next === stands) return;
    stands = next;
    onLine(next);
  }

  function heard(event) {
    lastHeard = Date.now();
    stand(wanted);
    if (!event?.data) return;
    const screen = JSON.parse(event.data);
    onScreen(screen);
    if (screen.notice) noticed(screen.notice);
  }

  // By its number each is said once, however it came.
  function noticed(notice) {
    if (notice.no === lastNotice) return;
    lastNotice = notice.no;
    onNotice(notice);
  }

  function listen() {
    const stream = new EventSource(`/events${query}`);
    stream.addEventListener("open", () => { lastNotice = 0; }); // a till that was started again counts from one
    stream.addEventListener("screen", (event) => { wanted = "live"; heard(event); });
    stream.addEventListener("beat", () => { wanted = "live"; heard(); });
    stream.addEventListener("notice", (event) => noticed(JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED) return; // it comes back by itself
      ask(Date.now() + AGAIN_MS);
    });
  }

  async function ask(end) {
    while (Date.now() < end) {
      try {
        const answer = await fetch(`/v1/screen${query}`);
        if (answer.status === 401) return onLine("shut");
        if (answer.ok) { wanted = "asking"; heard({ data: await answer.text() }); }
      } catch {
        // the till is starting again; the watch below says so
      }
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
    listen();
  }

  setInterval(() => { if (Date.now() - lastHeard > SILENT_MS) stand("silent"); }, 1000);
  listen();
}
