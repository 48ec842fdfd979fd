/* <servewell-feedback>: ask somebody what they think of an answer. Needs nothing else.

   <servewell-feedback endpoint="flight-delays" token="swf_…"></servewell-feedback>

   endpoint         name of the endpoint
   token            what came with the answer, in the header servewell-feedback-token
   base             origin of Servewell; without it, that of this script
   row              of the request, from 0
   subject          who it is, as your application knows them; kept as a keyed token
   scale            "thumbs" or "stars"
   correction-type  "text", "number" or "none"
   choices          allowed corrections, split by "|"

   Its words are in the property `words`, its colours in the custom properties --servewell-accent,
   --servewell-on-accent and --servewell-radius. It tells of what was done by the event
   "servewell-feedback". Styles are adopted, nothing is written as HTML, so a strict
   Content-Security-Policy needs `script-src` and `connect-src` for the base, and no more. */
(() => {
  "use strict";

  const script = document.currentScript;
  const home = script && script.src ? new URL(script.src).origin : location.origin;
  const STYLE = `
    :host { display: block; max-width: 34rem; color: inherit; font: inherit; }
    :host([hidden]) { display: none; }
    * { box-sizing: border-box; font: inherit; color: inherit; }
    fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
    legend { padding: 0; font-weight: 600; margin-bottom: .4rem; }
    .ratings { display: flex; flex-wrap: wrap; gap: .5rem; }
    button { display: inline-flex; align-items: center; gap: .4rem; min-height: 2.75rem;
      padding: .4rem .9rem; background: transparent; border: 1px solid currentColor;
      border-radius: var(--servewell-radius, .5rem); cursor: pointer; }
    .stars { gap: .3rem; } .stars button { padding: .4rem .55rem; }
    button[aria-pressed="true"], button.send { background: var(--servewell-accent, #2563c9);
      border-color: var(--servewell-accent, #2563c9); color: var(--servewell-on-accent, #fff); }
    button:disabled { opacity: .55; cursor: default; }
    :is(button, input, textarea, select):focus-visible {
      outline: 3px solid var(--servewell-accent, #2563c9); outline-offset: 2px; }
    svg { width: 1.15em; height: 1.15em; fill: currentColor; }
    .more { display: grid; gap: .75rem; margin-top: .9rem; }
    label { display: grid; gap: .25rem; }
    input:not([type=checkbox]), textarea, select { width: 100%; padding: .5rem .6rem;
      background: transparent; border: 1px solid currentColor;
      border-radius: var(--servewell-radius, .5rem); }
    select option { color: CanvasText; background: Canvas; }
    textarea { min-height: 5rem; resize: vertical; }
    .consent { grid-template-columns: auto 1fr; gap: .6rem; align-items: start; }
    .consent input { width: 1.25rem; height: 1.25rem; margin: .1rem 0 0;
      accent-color: var(--servewell-accent, #2563c9); }
    .actions { display: flex; flex-wrap: wrap; gap: .5rem; }
    .hint { font-size: .9em; margin: 0; }
    [role=status] { margin: .6rem 0 0; min-height: 1.5em; }
    [hidden] { display: none !important; }`;
  const THUMB = "M2 21h3V9H2v12zM22 10a2 2 0 0 0-2-2h-6l1-4.6V3a1.5 1.5 0 0 0-.4-1L13.5 1 7 7.6A2 2 0 " +
    "0 0 6.5 9v10a2 2 0 0 0 2 2H17a2 2 0 0 0 1.8-1.2l3-7c.1-.3.2-.5.2-.8v-2z";
  const WORDS = {
    question: "Was this answer right?",
    up: "Yes",
    down: "No",
    star: (number) => `${number} of 5`,
    correction: "What would have been right?",
    choose: "Choose",
    comment: "Your comment",
    without: "Without your agreement only the rating is kept.",
    send: "Send",
    withdraw: "Withdraw everything",
    kept: "Thank you. Your rating is kept.",
    all: "Thank you. What you said is kept.",
    withdrawn: "All that you said here is withdrawn.",
    agree: "To keep more than the rating, your agreement is needed.",
    late: "The time for feedback on this answer has passed.",
    failed: "That did not work. Please try again in a moment.",
  };

  const made = (name, properties = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };

  const thumb = (down) => {
    const names = "http://www.w3.org/2000/svg";
    const drawing = document.createElementNS(names, "svg");
    const path = document.createElementNS(names, "path");
    drawing.setAttribute("viewBox", "0 0 24 24");
    drawing.setAttribute("aria-hidden", "true");
    path.setAttribute("d", THUMB);
    if (down) path.setAttribute("transform", "rotate(180 12 12)");
    drawing.append(path);
    return drawing;
  };

  class ServewellFeedback extends HTMLElement {
    static observedAttributes = ["token"];
    #words = WORDS;
    #rating = "";
    #asked = null;
    #ready = false;
    #parts = {};

    get words() { return this.#words; }
    set words(words) { this.#words = { ...WORDS, ...words }; if (this.#ready) this.#draw(); }

    connectedCallback() { this.#ready = true; this.#draw(); }
    disconnectedCallback() { this.#ready = false; }
    attributeChangedCallback() { if (this.#ready) this.#draw(); }

    get #url() {
      const base = this.getAttribute("base") || home;
      const name = encodeURIComponent(this.getAttribute("endpoint") || "");
      return `${base}/endpoints/${name}/feedback`;
    }

    get #scale() { return this.getAttribute("scale") === "stars" ? "stars" : "thumbs"; }

    async #ask(method, body) {
      const answer = await fetch(this.#url, {
        method,
        mode: "cors",
        credentials: "omit",
        headers: {
          authorization: `Bearer ${this.getAttribute("token")}`,
          ...(body ? { "content-type": "application/json" } : {}),
        },
        body: body && JSON.stringify(body),
      });
      if (!answer.ok) throw Object.assign(new Error(String(answer.status)), { status: answer.status });
      return answer.json();
    }

    async #draw() {
      const token = this.getAttribute("token");
      this.hidden = !token;
      if (!token) return;
      const root = this.shadowRoot || this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      this.#rating = "";
      const status = made("p", { role: "status" });
      const more = made("form", { className: "more", hidden: true, onsubmit: (event) => this.#send(event) });
      this.#parts = { status, more };
      root.replaceChildren(
        made("fieldset", {}, made("legend", { part: "question" }, this.#words.question),
          made("div", { className: `ratings ${this.#scale}` }, ...this.#ratings())),
        more, status);
      try {
        this.#asked = await this.#ask("GET");
        if (this.getAttribute("token") === token) this.#fill();
      } catch (error) {
        this.#fail(error);
      }
    }

    #ratings() {
      const stars = this.#scale === "stars";
      const values = stars ? [1, 2, 3, 4, 5] : ["up", "down"];
      return values.map((value) => made("button", {
        type: "button",
        "aria-pressed": "false",
        part: "rating",
        value: String(value),
        ...(stars ? { "aria-label": this.#words.star(value) } : {}),
        onclick: () => this.#rate(value),
      }, ...(stars ? [`${value} ★`] : [thumb(value === "down"), this.#words[value]])));
    }

    #fill() {
      const { more } = this.#parts;
      const { consent, corrections } = this.#asked;
      const kind = this.getAttribute("correction-type") || "text";
      const fields = [];
      if (consent && corrections && consent.scope === "label" && kind !== "none") {
        this.#parts.correction = this.#correction(kind);
        fields.push(made("label", {}, this.#words.correction, this.#parts.correction));
      }
      if (consent) {
        this.#parts.comment = made("textarea", { maxLength: this.#asked.comment_chars_max });
        this.#parts.consent = made("input", { type: "checkbox" });
        const hint = made("p", { className: "hint", id: "hint" }, this.#words.without);
        this.#parts.consent.setAttribute("aria-describedby", "hint");
        fields.push(made("label", {}, this.#words.comment, this.#parts.comment),
          made("label", { className: "consent" }, this.#parts.consent, made("span", {}, consent.text)),
          hint);
      }
      const send = made("button", { type: "submit", className: "send", part: "send" }, this.#words.send);
      const withdraw = made("button", { type: "button", onclick: () => this.#withdraw() },
        this.#words.withdraw);
      more.replaceChildren(...fields,
        made("div", { className: "actions" }, ...(consent ? [send] : []), withdraw));
    }

    #correction(kind) {
      const choices = (this.getAttribute("choices") || "").split("|").filter(Boolean);
      if (choices.length) {
        const first = made("option", { value: "" }, this.#words.choose);
        return made("select", {}, first, ...choices.map((one) => made("option", { value: one }, one)));
      }
      return made("input", {
        type: kind, ...(kind === "number" ? { step: "any" } : {}),
        maxLength: this.#asked.correction_chars_max,
      });
    }

    #said() {
      const said = { rating: this.#rating, row: Number(this.getAttribute("row") || 0) };
      const { consent, comment, correction } = this.#parts;
      if (!consent || !consent.checked) return said;
      const { version, scope, digest } = this.#asked.consent;
      said.consent = { given: true, version, scope, digest };
      if (comment.value) said.comment = comment.value;
      if (correction && correction.value !== "") {
        const number = this.getAttribute("correction-type") === "number";
        said.correction = number ? Number(correction.value) : correction.value;
      }
      if (this.getAttribute("subject")) said.subject = this.getAttribute("subject");
      return said;
    }

    async #rate(value) {
      this.#rating = value;
      this.#press(value);
      if (await this.#keep(this.#words.kept)) this.#parts.more.hidden = false;
    }

    #press(value) {
      for (const button of this.shadowRoot.querySelectorAll(".ratings button")) {
        button.setAttribute("aria-pressed", String(button.value === String(value)));
      }
    }

    async #send(event) {
      event.preventDefault();
      const { consent, comment, correction } = this.#parts;
      if (!consent.checked && (comment.value || (correction && correction.value))) {
        this.#tell(this.#words.agree);
        consent.focus();
        return;
      }
      await this.#keep(consent.checked ? this.#words.all : this.#words.kept);
    }

    async #keep(words) {
      try {
        const kept = await this.#ask("POST", this.#said());
        this.#tell(words);
        this.#announce({ done: "kept", rating: this.#rating, feedback: kept.feedback });
        return true;
      } catch (error) {
        return this.#fail(error);
      }
    }

    async #withdraw() {
      try {
        await this.#ask("DELETE", { row: Number(this.getAttribute("row") || 0) });
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#rating = "";
      this.#press("");
      this.#parts.more.hidden = true;
      for (const button of this.shadowRoot.querySelectorAll(".ratings button")) button.disabled = true;
      this.#tell(this.#words.withdrawn);
      this.#parts.status.tabIndex = -1;
      this.#parts.status.focus();
      this.#announce({ done: "withdrawn" });
    }

    #fail(error) {
      this.#tell(error.status === 401 ? this.#words.late : this.#words.failed);
      this.#announce({ done: "failed", status: error.status });
      return false;
    }

    #tell(words) { this.#parts.status.textContent = words; }

    #announce(detail) {
      this.dispatchEvent(new CustomEvent("servewell-feedback", { detail, bubbles: true, composed: true }));
    }
  }

  if (!customElements.get("servewell-feedback")) {
    customElements.define("servewell-feedback", ServewellFeedback);
  }
})();
