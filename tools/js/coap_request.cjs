// One CoAP request with node's `coap` package. The only argument is JSON: url, method, payload
// (base64), confirmable, options (name -> text), patience_ms. Prints JSON: code, options, payload (base64).
// Exit code 1 and one line on stderr when no response comes.

const coap = require('coap')

function fail(reason) {
  console.error(reason)
  process.exit(1)
}

const wish = JSON.parse(process.argv[2])
const url = new URL(wish.url)
const request = coap.request({
  hostname: url.hostname,
  port: Number(url.port || 5683),
  pathname: url.pathname,
  query: url.search.slice(1),
  method: wish.method,
  confirmable: wish.confirmable,
})
for (const [name, value] of Object.entries(wish.options)) {
  request.setOption(name, value)
}
request.on('error', (error) => fail(error.message))
request.on('response', (response) => {
  const chunks = []
  response.on('data', (chunk) => chunks.push(chunk))
  response.on('end', () => {
    const options = {}
    for (const { name, value } of response.options) {
      options[name] = Buffer.isBuffer(value) ? value.toString('latin1') : String(value)
    }
    const payload = Buffer.concat(chunks).toString('base64')
    console.log(JSON.stringify({ code: response.code, options, payload }))
    process.exit(0)
  })
})
setTimeout(() => fail(`no response within ${wish.patience_ms} ms`), wish.patience_ms)
request.end(Buffer.from(wish.payload, 'base64'))
