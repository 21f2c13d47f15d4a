import t from 'tap'
import { BRAND, liveApp } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'

t.setTimeout(240_000)

/** The platform every sandbox begins with. */
const PLATFORM = {
  appid: 'wx5b1a2c3d4e5f6009',
  secret: '6009a1b2c3d4e5f60718293a4b5c6d7e',
  token: 'qr_console_token',
  aesKey: 'kitDemoEncodingAESKey0123456789abcdefghijkA'
}
const PUBLIC = 'http://127.0.0.1:1'

t.test('an account connected by QR code that lacks a permission is shown disabled, with the reason', async (t) => {
  const { url, sandbox, rooms } = await liveApp(t)
  await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null })
  const visitor = await visit(t, url)
  const { page } = visitor
  /** Its administrator says yes to these permission sets. */
  const consent = async (sets: number[]) => {
    const answer = await fetch(`${sandbox.url}/sandbox/authorizations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ platform: PLATFORM.appid, appid: BRAND.appId, sets })
    })
    t.equal(answer.status, 200, await answer.text())
  }

  await visitor.arrive('/accounts/connect')
  await visitor.signIn('o@example.com')
  await page.getByRole('tab', { name: 'By QR code' }).click()
  await page.getByText('Consent by QR code needs a third-party platform').waitFor()
  await page.getByLabel('AppID', { exact: true }).fill(PLATFORM.appid)
  await page.getByLabel('Platform AppSecret').fill(PLATFORM.secret)
  await page.getByLabel('Verification token').fill(PLATFORM.token)
  await page.getByLabel('EncodingAESKey', { exact: true }).fill(PLATFORM.aesKey)
  const there = await page.locator('dl code').allTextContents()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('WeChat has not pushed the platform’s ticket yet').waitFor()
  const [eventUrl, messageUrl, domain] = there.map((text) => text.trim().replace(PUBLIC, url))
  sandbox.controls.putPlatform({ ...PLATFORM, eventUrl: eventUrl!, messageUrl: messageUrl!, domain: domain! })
  // The ticket is pushed a moment later; the page takes notice by itself.
  await page.getByRole('button', { name: 'Make a link' }).click()
  await page.getByText('Waiting for the administrator to consent…').waitFor()
  await page.getByRole('link', { name: 'Open the consent page' }).waitFor()
  t.same(await visitor.barriers(), [])
  await visitor.shot('accounts-qr')

  // 7 is what lets a platform send templates
  await consent([1, 2, 3])
  await page.getByRole('heading', { level: 1, name: '晨读书店服务号' }).waitFor()
  await page.getByText('Disabled', { exact: true }).first().waitFor()
  await page
    .getByText(/permission set not granted: 7/)
    .first()
    .waitFor()
  t.same(await visitor.barriers(), [])
  await visitor.shot('account-missing-permission')

  await visitor.open('/campaigns/new?step=who')
  const choice = page.getByRole('radio', { name: /晨读书店服务号/ })
  await choice.waitFor()
  t.ok(await choice.isDisabled(), 'no campaign can choose it')
  t.match(await page.locator('label', { has: choice }).textContent(), /7 群发与通知/, 'and why stands beside it')
  await visitor.shot('wizard-account-disabled')

  await visitor.open(`/accounts/${BRAND.appId}`)
  await page.getByRole('button', { name: 'Update the consent' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Make a link' }).click()
  await page.getByText('Waiting for the administrator to consent…').waitFor()
  await consent([1, 2, 3, 7])
  await page.getByText('Ready', { exact: true }).first().waitFor()
  await visitor.open('/campaigns/new?step=who')
  await page.locator('input[name=account]:not([disabled])').waitFor()
  t.same(visitor.troubles, [])
})
