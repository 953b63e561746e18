/** Prints where a CPU profile spent its time: `node bench/summarize-profile.ts <file.cpuprofile> [rows]`. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

type Profile = {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const [path, rows = '40'] = process.argv.slice(2)
if (path === undefined) throw new Error('Cannot summarize: name a .cpuprofile file')

const profile = JSON.parse(await readFile(path, 'utf8')) as Profile
const names = new Map(
  profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
    id,
    `${functionName || '(anonymous)'} ${basename(url)}:${lineNumber + 1}`,
  ]),
)
const microsByName = new Map<string, number>()
for (const [index, id] of profile.samples.entries()) {
  const name = names.get(id) ?? '?'
  microsByName.set(name, (microsByName.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0))
}
microsByName.delete('(idle) :0')
const total = [...microsByName.values()].reduce((sum, micros) => sum + micros, 0)
console.log(`${(total / 1e6).toFixed(2)} s not idle`)
for (const [name, micros] of [...microsByName].sort(([, a], [, b]) => b - a).slice(0, Number(rows))) {
  console.log(
    `${((micros / total) * 100).toFixed(1).padStart(5)} %  ${(micros / 1e3).toFixed(0).padStart(7)} ms  ${name}`,
  )
}
