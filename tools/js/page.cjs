// Uses the gateway's page in headless Chromium, as a person would.
//
//   node page.cjs screenshot URL FILE WIDTH HEIGHT light|dark
//   node page.cjs check URL       prints what it found as JSON; a line on stdin "go" goes on
//
// CHROMIUM names the browser. As root it needs --no-sandbox.

const {chromium} = require('playwright-core')
const readline = require('node:readline')

const WAIT_MS = 15000

async function open(width, height, colorScheme, url) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: process.getuid() === 0 ? ['--no-sandbox'] : []
  })
  const context = await browser.newContext({viewport: {width, height}, colorScheme})
  const page = await context.newPage()
  page.setDefaultTimeout(WAIT_MS)
  const found = {errors: [], foreign: [], bytes: 0}
  page.on('console', (message) => { if (message.type() === 'error') found.errors.push(message.text()) })
  page.on('pageerror', (error) => found.errors.push(String(error)))
  page.on('request', (request) => { if (!/^(data:|http:\/\/127\.0\.0\.1)/.test(request.url())) found.foreign.push(request.url()) })
  page.on('response', async (response) => {
    const sizes = await response.request().sizes().catch(() => null)
    if (sizes && !response.url().includes('/api/')) found.bytes += sizes.responseBodySize + sizes.responseHeadersSize
  })
  await page.goto(url)
  await page.waitForSelector('#main h1')
  await page.waitForSelector('#link:has-text("Live")')
  return {browser, page, found}
}

async function screenshot(url, file, width, height, scheme) {
  const {browser, page} = await open(Number(width), Number(height), scheme, url)
  await page.waitForTimeout(600)
  await page.screenshot({path: file, fullPage: true})
  await browser.close()
}

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

async function check(url) {
  const lines = readline.createInterface({input: process.stdin})[Symbol.asyncIterator]()
  const {browser, page, found} = await open(1280, 900, 'light', url)
  const say = (name, value) => console.log(JSON.stringify({[name]: value}))
  const titles = () => page.$$eval('.card h3', (all) => all.map((one) => one.textContent))
  say('h1', await page.textContent('h1'))
  say('cards', await titles())
  say('text', await page.innerText('#main'))
  say('bytes', found.bytes)

  // by keyboard alone: to the first card, and into it
  await page.evaluate(() => document.body.focus())
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(() => document.activeElement.id.startsWith('card-'))) break
  }
  say('focused', await page.evaluate(() => document.activeElement.textContent))
  await page.keyboard.press('Enter')
  await page.waitForSelector('#rename')
  say('opened', await page.textContent('h1'))
  await page.goBack()
  await page.waitForSelector('.card.new')

  // a new node is adopted in two clicks
  await page.click('.card.new button:has-text("Adopt")')
  await page.click('.card.new button[type=submit]')
  await page.waitForFunction(() => !document.querySelector('.card.new'))
  say('adopted', await titles())

  // what happens is shown by itself
  say('before', await page.textContent('.card[data-id="1"] .big'))
  await lines.next()
  await page.waitForFunction(() => document.querySelector('.card[data-id="1"] .big').textContent.startsWith('Closed'))
  say('after', Date.now() / 1000)

  // the heartbeat of a door with keys
  await page.goto(url + '#/node/1')
  await page.waitForSelector('#beat')
  await page.fill('#minutes', '20')
  await page.click('#beat button')
  await page.waitForSelector('td code:has-text("PUT config")')
  say('queue', await page.innerText('section[aria-labelledby=waits]'))
  say('downloads', await page.$$eval('a[href*=".csv"]', (all) => all.map((one) => one.getAttribute('href'))))

  for (const [width, scheme] of [[1280, 'light'], [1280, 'dark'], [390, 'light'], [390, 'dark']]) {
    await page.setViewportSize({width, height: 844})
    await page.emulateMedia({colorScheme: scheme})
    for (const hash of ['#/', '#/node/1', '#/node/4']) {
      await page.goto(url + hash)
      await page.waitForSelector(hash === '#/' ? '.card' : '#rename')
      await page.waitForTimeout(150)
      const wide = await overflow(page)
      if (wide > 0) found.errors.push(`${hash} is ${wide} px too wide at ${width}`)
    }
    say(`back ${width} ${scheme}`, await page.evaluate(() => getComputedStyle(document.body).backgroundColor))
  }
  say('errors', found.errors)
  say('foreign', found.foreign)
  await browser.close()
  process.exit(0)
}

const [what, ...args] = process.argv.slice(2)
const run = {screenshot, check}[what]
run(...args).catch((error) => { console.error(String(error)); process.exit(1) })
