import { readFile } from 'node:fs/promises'

/** One file of the phone page, ready to be sent. */
export interface PageFile {
  status: 200 | 404 | 503
  type: string
  body: Buffer | string
}

const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'phone.js': 'text/javascript; charset=utf-8',
  'phone.css': 'text/css; charset=utf-8'
}
/** Where the build put it: below this file, or under dist/ when this is the source. */
const PLACES = [
  new URL('./page/', import.meta.url),
  new URL('../../../dist/server/sandbox/phone/page/', import.meta.url)
]
const UNBUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Phone page</title>
<p>The phone page is not built. Run <code>npm run build</code>, then load this page again.</p></html>`

/** Sent with every file of the page: it loads nothing from elsewhere, runs no inline script, is framed by nobody. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-cache'
}

/** The file behind `/phone` or `/phone/…`. Without a build the page itself says what to run (503). */
export async function pageFile(path: string, places: readonly URL[] = PLACES): Promise<PageFile> {
  const name = path.replace(/^\/phone\/?/, '') || 'index.html'
  const type = Object.hasOwn(TYPES, name) ? TYPES[name]! : null
  if (type === null) return { status: 404, type: 'text/plain', body: 'not found' }
  for (const place of places) {
    const body = await readFile(new URL(name, place)).catch(() => null)
    if (body !== null) return { status: 200, type, body }
  }
  return { status: 503, type: 'text/html; charset=utf-8', body: UNBUILT }
}
