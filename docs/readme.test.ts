import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileSyncConfig } from '@headwater/sync-config'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

test('the sync config of the README compiles without a warning', () => {
  expect(compileSyncConfig(readBlock('yaml'))).toMatchObject({ kind: 'compiled', diagnostics: [] })
})

test('the program of the README agrees with the types of the client', () => {
  const folder = mkdtempSync(join(root, 'docs', 'readme-'))
  try {
    writeFileSync(join(folder, 'app.ts'), readBlock('ts'))
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../tsconfig.json', include: ['app.ts'] }),
    )
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')

    expect(execFileSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' })).toBe('')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

function readBlock(language: string): string {
  const match = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(readme)
  return match?.[1] ?? ''
}
