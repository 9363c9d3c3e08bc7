// Runs the suite's cases against a proxy: node run.mjs PACKAGE URL
// Prints what the cases are and how each went, as JSON; what counts is said in score.py.
import { pathToFileURL } from 'node:url'

const [folder, base] = process.argv.slice(2)
const load = name => import(pathToFileURL(`${folder}/${name}`))

const { runTests, getResults } = await load('client/runner.mjs')
const { default: suites } = await load('tests/index.mjs')
const { default: fetch } = await load('../node-fetch/lib/index.mjs')

const cases = suites.flatMap(suite => suite.tests).filter(test => test.browser_only !== true)

// A batch waits for its slowest case, which pauses for 3 s a few times: the fewer batches, the sooner it is done.
await runTests(suites, fetch, false, base, 200)

const described = cases.map(({ id, name, kind = 'required', depends_on: needs = [] }) => ({ id, name, kind, needs }))
process.stdout.write(JSON.stringify({ cases: described, results: getResults() }))
