import { existsSync, readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const LINK = /\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g
/** A path of this repository in code marks, such as `packages/client/src/store/publish.ts`. */
const PATH_IN_CODE = /`((?:packages|tests|bench|examples|docs|scripts)\/[\w./@-]+\.\w+)`/g

/** Every relative link and every path named in a document must exist. Resolves to the list of problems, or undefined. */
export async function checkDocs(root: string): Promise<string | undefined> {
  const problems: string[] = []
  for await (const file of glob('**/*.md', {
    cwd: root,
    exclude: (name) => name.includes('node_modules') || name.includes('.headwater'),
  })) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const [, target] of text.matchAll(LINK)) {
      if (target !== undefined && !existsSync(join(root, dirname(file), target)))
        problems.push(`${file}: link to ${target}, which does not exist`)
    }
    for (const [, path] of text.matchAll(PATH_IN_CODE)) {
      if (path !== undefined && !existsSync(join(root, path)))
        problems.push(`${file}: names ${path}, which does not exist`)
    }
  }
  return problems.length === 0 ? undefined : problems.join('\n')
}
