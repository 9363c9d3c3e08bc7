// Runs the suite's cases against a proxy: node run.mjs PACKAGE URL
// Prints what the cases are and how each went, as JSON; what counts is said in score.py.
import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [folder, base] = process.argv.slice(2)
const load = name => import(pathToFileURL(`${folder}/${name}`))

const engine = existsSync(`${folder}/test-engine`) ? 'test-engine/' : '' // where newer editions have it
const { runTests, getResults } = await load(`${engine}client/runner.mjs`)
const { default: suites } = await load('tests/index.mjs')
const given = engine ? [] : [(await load('../node-fetch/lib/index.mjs')).default] // newer ones bring their own fetch

const cases = suites.flatMap(suite => suite.tests).filter(test => test.browser_only !== true)

// A batch waits for its slowest case, which pauses for 3 s a few times: the fewer batches, the sooner it is done.
await runTests(suites, ...given, false, base, 200)

const described = cases.map(({ id, name, kind = 'required', depends_on: needs = [] }) => ({ id, name, kind, needs }))
process.stdout.write(JSON.stringify({ cases: described, results: getResults() }))
