/** Text made safe for HTML content and quoted attributes. */
export const escapeHtml = (text: unknown) =>
  String(text).replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]!)

/** A page of the sandbox's own looks around `body`, which is HTML already. */
export const htmlPage = (title: string, body: string) => `<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title>
<style>body{font:15px/1.6 system-ui,sans-serif;margin:2rem auto;max-width:34rem;padding:0 1rem;color:#222}h1{font-size:1.3rem}fieldset{border:1px solid #ddd;border-radius:6px;margin:1rem 0}label{display:block;padding:.15rem 0}button{font:inherit;padding:.4rem 1.6rem;border:0;border-radius:6px;background:#07c160;color:#fff}button[value=cancel]{background:#eee;color:#222}.no{color:#999}.bad{color:#c0392b}</style>
${body}</html>`
