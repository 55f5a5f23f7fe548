// Opens each state of the status page in Chromium: light and dark, on a desktop and on a phone. Takes screenshots, runs axe
// for accessibility, and checks that there are no other requests and no overflow.
//
// Arguments: the browser, the directory for screenshots, the states as JSON: [{"name": …, "url": …}], and the name of the
// state that the documents show.
// Prints a line per problem, and exits with 1 if there are any.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [executablePath, pictures, states, pictured] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];
const looks = [
  { look: "light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { look: "dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { look: "phone", colorScheme: "light", viewport: { width: 390, height: 844 } },
  // WCAG 1.4.10: 400 % zoom on a desktop. Only the width matters; axe has checked the rest.
  { look: "narrow", axe: false, colorScheme: "dark", viewport: { width: 320, height: 640 } },
];
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const wrong = [];
const profile = mkdtempSync(join(tmpdir(), "acr-verifier-browser-"));
let opened = 0;
let passed = 0;
for (const { look, axe: isExamined = true, ...options } of looks) {
  const context = await chromium.launchPersistentContext(join(profile, look), {
    executablePath, headless: true, args: flags, ...options,
  });
  context.setDefaultTimeout(20_000);
  for (const { name, url } of JSON.parse(states)) {
    const page = await context.newPage();
    const report = (text) => wrong.push(`${name} (${look}): ${text}`);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && report(message.text()));
    page.on("pageerror", (error) => report(`script: ${error}`));
    page.on("dialog", (dialog) => report(`dialog: ${dialog.message()}`) && dialog.dismiss());
    page.on("request", (request) => {
      if (!request.url().startsWith("data:") && request.url() !== url) report(`requests ${request.url()}`);
    });
    await page.goto(url);
    opened += 1;
    await page.screenshot({ path: join(pictures, `${name}.${look}.png`), fullPage: true });
    // The column of text on a desktop, for the documents.
    const clip = { x: 112, y: 0, width: 1056, height: 860 };
    if (name === pictured && options.viewport.width === 1280) {
      await page.screenshot({ path: join(pictures, `${name}.${look}.top.png`), clip });
    }
    const wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    if (wide > 0) report(`is ${wide} px wider than the window`);
    const scripts = await page.evaluate("document.querySelectorAll('script, iframe, object, [onclick], [onerror]').length");
    if (scripts > 0) report("has an element that can run code");
    // Check collapsed parts as well.
    await page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })");
    if (!isExamined) {
      await page.close();
      continue;
    }
    await page.evaluate(axe);
    const found = await page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(rules)} })`);
    passed += found.passes.length;
    for (const violation of found.violations) {
      const nodes = violation.nodes.map((node) => `${node.target}: ${node.failureSummary}`).join("; ");
      report(`axe ${violation.id} (${violation.impact}): ${nodes}`);
    }
    for (const doubt of found.incomplete) {
      const nodes = doubt.nodes.map((node) => `${node.target}: ${node.failureSummary}`).join("; ");
      report(`axe is not sure of ${doubt.id}: ${nodes}`);
    }
    await page.close();
  }
  await context.close();
}

// The form without scripts, and the links that turn reloading on and off.
const [{ url }] = JSON.parse(states);
const context = await chromium.launchPersistentContext(join(profile, "form"), {
  executablePath, headless: true, args: flags, javaScriptEnabled: false,
});
context.setDefaultTimeout(20_000);
const page = await context.newPage();
await page.goto(url);
await page.getByRole("button", { name: "Check now" }).click();
await page.waitForLoadState();
if (page.url() !== url) wrong.push(`the form redirects to ${page.url()}`);
await page.getByRole("link", { name: "Reload every" }).click();
await page.getByRole("link", { name: "Stop reloading" }).click();
await page.waitForURL(url);
await context.close();
rmSync(profile, { recursive: true, force: true });

for (const line of wrong) console.log(line);
console.log(`${opened} pages opened, ${passed} axe rules passed, ${wrong.length} problems`);
process.exit(wrong.length > 0 ? 1 : 0);
