"""Reads every table of a store with DuckDB, Polars and pandas, and checks what they see against each other and by arithmetic."""

import json
import math
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import duckdb
import numpy
import pandas
import polars

DEMO = Path(__file__).resolve().parents[2] / 'assets/demo'

# The unit of the exact sums.
UNIT = Fraction(1, 2**320)

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print('FAILED:', what)


def same(one, other):
    """Whether two cells are equal, bit for bit where they are numbers; what is missing equals what is missing."""
    if isinstance(one, (list, tuple, numpy.ndarray)) or isinstance(other, (list, tuple, numpy.ndarray)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other))
    one, other = (None if value is pandas.NA or value is pandas.NaT else value for value in (one, other))
    nothing = [value is None or (isinstance(value, float) and math.isnan(value)) for value in (one, other)]
    return all(nothing) or (not any(nothing) and one == other)


def rows(path):
    """The rows of a table as each of the programs reads it."""
    connection = duckdb.connect()
    by_duckdb = connection.execute(f"select * from read_parquet('{path}')").fetchall()
    by_polars = polars.read_parquet(path).rows()
    frame = pandas.read_parquet(path)
    by_pandas = list(frame.itertuples(index=False, name=None))
    return {'DuckDB': by_duckdb, 'Polars': by_polars, 'pandas': by_pandas}


def check_tables(store, manifest):
    for name, table in manifest['tables'].items():
        read = rows(store / name)
        for program, found in read.items():
            check(len(found) == table['rows'], f'{program} reads {len(found)} of {table["rows"]} rows of {name}')
        first = read.pop('DuckDB')
        for program, found in read.items():
            equal = all(same(a, b) for a, b in zip(first, found))
            check(equal, f'DuckDB and {program} differ in {name}')
        print(f'{name}: {table["rows"]} rows, {table["bytes"]} bytes')


def check_rankings(store):
    """Rankings are in their order, by a query that a user would write."""
    wrong = duckdb.execute(f"""
        select count(*) from (
            select score, sample, target, rank,
                   lag(score) over ranking as score_before, lag(sample) over ranking as sample_before,
                   lag(target) over ranking as target_before, row_number() over ranking as number
            from read_parquet('{store}/references.parquet')
            window ranking as (partition by layer, concept, measure, class order by rank))
        where rank <> number - 1
           or score > score_before
           or (score = score_before and (sample, target) <= (sample_before, target_before))
    """).fetchone()[0]
    check(wrong == 0, f'{wrong} entries of rankings are not in their order')


def check_statistics(store):
    """Statistics of relevance are those of the vectors, and those of the exact sums."""
    vectors = polars.read_parquet(store / 'vectors.parquet')
    concepts = polars.read_parquet(store / 'concepts.parquet')
    sums = polars.read_parquet(store / 'sums.parquet')
    compared = 0
    for (layer,), rows in vectors.group_by(['layer'], maintain_order=True):
        matrix = numpy.stack([numpy.asarray(row, dtype=numpy.float64) for row in rows['relevance'].to_list()])
        found = concepts.filter(polars.col('layer') == layer)
        mean = numpy.array(found['relevance_mean'].to_list())
        variance = numpy.array(found['relevance_variance'].to_list())
        # Means of n numbers in double precision are off by less than n roundings of the largest.
        off = len(matrix) * numpy.finfo(float).eps * numpy.abs(matrix).max()
        check(numpy.abs(mean - matrix.mean(axis=0)).max() <= off, f'means of {layer}')
        check(numpy.abs(variance - matrix.var(axis=0)).max() <= 4 * off * numpy.abs(matrix).max(), f'variances of {layer}')
        compared += len(found)
    def exact(value):
        return int.from_bytes(value, 'little', signed=True) * UNIT

    for statistics, sum_ in zip(concepts.iter_rows(named=True), sums.iter_rows(named=True)):
        place = f'{statistics["layer"]} {statistics["concept"]}'
        n = sum_['samples']
        total, squares = exact(sum_['activation']), exact(sum_['activation_squared'])
        if n:
            # The sum is rounded once, and divided once.
            mean = total / n
            check(abs(Fraction(statistics['activation_mean']) - mean) <= abs(mean) * Fraction(1, 2**52), f'exact mean of {place}')
            variance = squares / n - mean**2
            off = abs(Fraction(statistics['activation_variance']) - variance)
            check(off <= variance * Fraction(1, 2**51), f'exact variance of {place}')
    print(f'statistics of {compared} concepts')


def check_convert(glocal, store, folder):
    subprocess.run([glocal, 'convert', store, '--to', 'zennit-crp', folder], check=True, stdout=subprocess.DEVNULL)
    references = polars.read_parquet(store / 'references.parquet')
    arrays = 0
    for measure, prefix in (('relevance', 'RelMax'), ('activation', 'ActMax')):
        chosen = references.filter((polars.col('measure') == measure) & polars.col('class').is_null())
        for (layer,), rows in chosen.group_by(['layer'], maintain_order=True):
            base = next(folder.glob(f'{prefix}_*')) / layer
            data, scores = numpy.load(f'{base}_data.npy'), numpy.load(f'{base}_rel.npy')
            check((data.dtype, scores.dtype) == (numpy.int64, numpy.float32), f'types of {base}')
            for (concept,), ranking in rows.group_by(['concept'], maintain_order=True):
                ranks = len(data)
                check(ranking['sample'].to_list()[:ranks] == data[:, concept].tolist(), f'{base} {concept}')
                check(ranking['score'].to_list()[:ranks] == scores[:, concept].tolist(), f'{base} {concept}')
            arrays += 2
    print(f'{arrays} arrays of zennit-crp')


def main():
    glocal, *rest = sys.argv[1:]
    model, data, preprocess = rest or (DEMO / 'model.onnx', DEMO, DEMO / 'preprocess.toml')
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for vectors in ('f32', 'f16'):
            store = folder / vectors
            call = [glocal, 'analyze', model, data, '--preprocess', preprocess, '--vectors', vectors, '-o', store]
            subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
            check_tables(store, json.loads((store / 'manifest.json').read_text()))
        check_rankings(folder / 'f32')
        check_statistics(folder / 'f32')
        check_convert(glocal, folder / 'f32', folder / 'crp')
    print(f'{len(failures)} failures with DuckDB {duckdb.__version__}, Polars {polars.__version__}, pandas {pandas.__version__}')
    sys.exit(bool(failures))


if __name__ == '__main__':
    main()
