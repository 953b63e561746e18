import { canonicalText, rank } from './canonical-text.ts'
import type { SourceList } from './query-scope.ts'
import type { EachSource, Operand, TableSource } from './scope.ts'
import { type Conjunction, operandsOf, type Term } from './terms.ts'

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
export function inCanonicalOrder(terms: Conjunction, primary: TableSource | undefined, sources: SourceList): Ordered {
  const nodes = new Set(terms.flatMap((term) => nodesOf(term, sources)))
  let labels = rank(new Map([...nodes].map((node) => [node, firstLabel(node, primary)])))
  for (let told = 0; told < countDistinct(labels) && countDistinct(labels) < nodes.size;) {
    const before = labels
    told = countDistinct(before)
    labels = rank(new Map([...nodes].map((node) => [node, nextLabel(node, before, { terms, sources })])))
  }
  const labelOf = (source: TableSource | EachSource): string => labels.get(source) ?? ''
  const sorted = terms
    .map((term) => ({ term: withSidesInOrder(term, sources, labelOf), text: termText(term, sources, labelOf) }))
    .toSorted((a, b) => (a.text < b.text ? -1 : Number(a.text > b.text)))
    .map(({ term }) => term)
  return { terms: sorted, labelOf }
}

function countDistinct(labels: ReadonlyMap<Node, string>): number {
  return new Set(labels.values()).size
}

type Node = TableSource | EachSource

function nodesOf(term: Term, sources: SourceList): readonly Node[] {
  const operands = operandsOf(term)
  const owners = operands.flatMap(({ owner }) => (owner.kind === 'table' || owner.kind === 'each' ? owner : []))
  return [...owners, ...sources.eachesIn(operands.map(({ expression }) => expression))]
}

function firstLabel(node: Node, primary: TableSource | undefined): string {
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

function withSidesInOrder(term: Term, sources: SourceList, labelOf: LabelOf): Term {
  if (term.kind !== 'equal') return term
  const { left, right } = term
  const isInOrder = operandText(left, sources, labelOf) <= operandText(right, sources, labelOf)
  return isInOrder ? term : { ...term, left: right, right: left }
}

type LabelOf = (node: Node) => string

function termText(term: Term, sources: SourceList, labelOf: LabelOf): string {
  return JSON.stringify([
    term.kind,
    operandsOf(term)
      .map((operand) => operandText(operand, sources, labelOf))
      .toSorted(),
  ])
}

function operandText(
  { owner, expression }: Pick<Operand, 'owner' | 'expression'>,
  sources: SourceList,
  labelOf: LabelOf,
): string {
  const ownerText = owner.kind === 'table' || owner.kind === 'each' ? labelOf(owner) : owner.kind
  return JSON.stringify([ownerText, canonicalText(expression, (number) => labelOf(sources.each(number)))])
}
