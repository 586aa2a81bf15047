// A server with node's `coap` package. The only argument is the port on 127.0.0.1; prints "ready".
// PUT /long keeps the payload, GET /long returns it, POST /echo returns its own payload.

const coap = require('coap')

let kept = Buffer.alloc(0)
const server = coap.createServer((request, response) => {
  if (request.url === '/echo') {
    response.end(request.payload)
  } else if (request.method === 'GET') {
    response.end(kept)
  } else {
    kept = request.payload
    response.code = '2.04'
    response.end()
  }
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'))
