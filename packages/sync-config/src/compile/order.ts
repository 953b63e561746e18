import { canonicalText, rank } from './canonical-text.ts'
import type { SourceList } from './query-scope.ts'
import type { EachSource, Owner, TableSource } from './scope.ts'
import type { Conjunction, Term } from './terms.ts'

/** A conjunction in an order that does not depend on how the query was written. */
export type Ordered = {
  readonly terms: Conjunction
  /** What tells a source from the others: its table or array, and everything that the terms say about it. */
  readonly labelOf: (source: TableSource | EachSource) => string
}

/**
 * Orders the terms by what they say. Sources have no names of their own here, so what tells two mentions of one table
 * apart is what they are compared with: starting from their tables, labels take in those of their neighbours, round
 * after round. Sources that still look alike in the end are exchangeable.
 */
export function inCanonicalOrder(terms: Conjunction, primary: TableSource, sources: SourceList): Ordered {
  const nodes = new Set(terms.flatMap((term) => nodesOf(term, sources)))
  let labels = rank(new Map([...nodes].map((node) => [node, firstLabel(node, primary)])))
  for (let told = 0; told < countDistinct(labels) && countDistinct(labels) < nodes.size;) {
    const before = labels
    told = countDistinct(before)
    labels = rank(new Map([...nodes].map((node) => [node, nextLabel(node, before, { terms, sources })])))
  }
  const labelOf = (source: TableSource | EachSource): string => labels.get(source) ?? ''
  const texts = new Map(terms.map((term) => [term, termText(term, sources, labelOf)]))
  const textOf = (term: Term): string => texts.get(term) ?? ''
  const sorted = terms.toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : Number(textOf(a) > textOf(b))))
  return { terms: sorted, labelOf }
}

function countDistinct(labels: ReadonlyMap<Node, string>): number {
  return new Set(labels.values()).size
}

type Node = TableSource | EachSource

function nodesOf(term: Term, sources: SourceList): readonly Node[] {
  const operands = term.kind === 'expression' ? [term] : [term.left, term.right]
  const owners = operands.flatMap(({ owner }) => (owner.kind === 'table' || owner.kind === 'each' ? owner : []))
  return [...owners, ...sources.eachesIn(operands.map(({ expression }) => expression))]
}

function firstLabel(node: Node, primary: TableSource): string {
  if (node.kind === 'table') return JSON.stringify([node.table, node === primary])
  return JSON.stringify([node.argument, node.of.kind])
}

function nextLabel(
  node: Node,
  labels: ReadonlyMap<Node, string>,
  { terms, sources }: { readonly terms: Conjunction; readonly sources: SourceList },
): string {
  const own = labels.get(node) ?? ''
  const of = node.kind === 'each' && node.of.kind === 'table' ? labels.get(node.of) : undefined
  const said = terms
    .filter((term) => nodesOf(term, sources).includes(node))
    .map((term) => termText(term, sources, (other) => (other === node ? 'itself' : (labels.get(other) ?? ''))))
  return JSON.stringify([own, of, said.toSorted()])
}

function termText(term: Term, sources: SourceList, labelOf: (node: Node) => string): string {
  const ownerText = (owner: Owner): string =>
    owner.kind === 'table' || owner.kind === 'each' ? labelOf(owner) : owner.kind
  const operands = term.kind === 'expression' ? [term] : [term.left, term.right]
  const sides = operands.map(({ owner, expression }) => {
    return JSON.stringify([ownerText(owner), canonicalText(expression, (number) => labelOf(sources.each(number)))])
  })
  return JSON.stringify([term.kind, sides.toSorted()])
}
