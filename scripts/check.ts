/** Everything that can be checked without running the product: types, lint and its arrows, format, links in the docs. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { checkDocs } from './check-docs.ts'

type Check = { readonly name: string; readonly run: () => Promise<string | undefined> }

const root = join(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules', '.bin', name)

const CHECKS: readonly Check[] = [
  { name: 'types', run: () => runTool(bin('tsc'), ['-p', '.', '--pretty', 'false']) },
  { name: 'lint', run: () => runTool(bin('oxlint'), ['--max-warnings=0']) },
  { name: 'format', run: () => runTool(bin('oxfmt'), ['--check']) },
  { name: 'docs', run: () => checkDocs(root) },
]

const failures = await Promise.all(
  CHECKS.map(async ({ name, run }) => {
    const startedMs = performance.now()
    const problem = await run()
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    console.log(`${problem === undefined ? 'passed' : 'FAILED'}  ${name}  ${seconds} s`)
    return problem
  }),
)
for (const problem of failures) if (problem !== undefined) console.log(`\n${problem}`)
process.exitCode = failures.some((problem) => problem !== undefined) ? 1 : 0

/** Resolves to what the tool printed when it failed, or to undefined. */
function runTool(command: string, args: readonly string[]): Promise<string | undefined> {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const collect = (chunk: Buffer): void => {
    output += chunk.toString()
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  return new Promise((resolve) => {
    child.once('error', (error) => {
      resolve(`Cannot run ${command}: ${error.message}. Run \`npm install\` first.`)
    })
    child.once('close', (code) => {
      resolve(code === 0 ? undefined : output)
    })
  })
}
