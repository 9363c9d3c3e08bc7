// Node's clients on the demo site: fetch (HTTP/1.1) or its http2 module, as the order on stdin says.
// Prints a JSON list of answers, in the order of the cases, whose groups it takes one after the other.
import { readFileSync } from 'node:fs'
import { connect } from 'node:http2'

const { protocol, origin, authority, groups } = JSON.parse(readFileSync(0, 'utf8'))
const sent = one => one.sent ? Buffer.from(one.sent, 'base64') : undefined

async function byFetch (one) {
  const answer = await fetch(origin + one.path, { method: one.method, headers: one.fields, body: sent(one) })
  const body = Buffer.from(await answer.arrayBuffer()).toString('base64')
  return { version: 'h1', status: answer.status, fields: Object.fromEntries(answer.headers), body }
}

function byStream (session, one) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': one.method, ':path': one.path, ...one.fields })
    const chunks = []
    let head
    stream.on('response', fields => { head = fields })
    stream.on('data', chunk => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => {
      const { ':status': status, ...fields } = head
      resolve({ version: 'h2', status, fields, body: Buffer.concat(chunks).toString('base64') })
    })
    stream.end(sent(one))
  })
}

const session = protocol === 'h2' ? connect(origin, { ca: readFileSync(authority) }) : undefined
const ask = session ? one => byStream(session, one) : byFetch
const answers = []
for (const cases of groups) answers.push(...await Promise.all(cases.map(ask)))
session?.close()
process.stdout.write(JSON.stringify(answers))
