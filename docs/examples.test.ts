import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileSyncConfig } from '@headwater/sync-config'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const pages = ['README.md', ...globSync('docs/guides/*.md', { cwd: root })]

test('the sync config of the README compiles without a warning', () => {
  const [config] = readBlocks('README.md', 'yaml')
  expect(compileSyncConfig(config ?? '')).toMatchObject({ kind: 'compiled', diagnostics: [] })
})

test('the programs in the README and the guides agree with the types of the packages', () => {
  const programs = pages.flatMap((page) => readBlocks(page, 'ts'))
  expect(programs.length).toBeGreaterThan(2)
  const folder = mkdtempSync(join(root, 'docs', 'examples-'))
  try {
    for (const [index, program] of programs.entries()) writeFileSync(join(folder, `program-${index}.ts`), program)
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: '../../tsconfig.json', include: ['*.ts'] }))
    expect(runTsc(folder)).toBe('')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** What the compiler says; nothing when it is content. */
function runTsc(folder: string): string {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  try {
    return execFileSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

function readBlocks(page: string, language: string): readonly string[] {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, block]) => block ?? '')
}
