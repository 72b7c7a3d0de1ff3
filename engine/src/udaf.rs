//! The UDFs as aggregates of DataFusion, for planning only: windows call the UDFs directly.
//! Also plans expressions of SQL.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, not_impl_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use udfs::{Kind, Udf};

/// All aggregates of `udfs/`.
pub(crate) fn aggregates() -> impl Iterator<Item = Arc<AggregateUDF>> {
    known().filter(|udf| udf.aggregate).map(|udf| Arc::new(AggregateUDF::new_from_impl(Measure::of(udf))))
}

/// The UDF that DataFusion planned under `name`.
pub(crate) fn named(name: &str) -> Option<&'static Udf> {
    known().find(|udf| udf.aggregate && udf.name == name)
}

/// All UDFs; in tests also those of the documentation.
fn known() -> impl Iterator<Item = &'static Udf> {
    let examples = if cfg!(test) { udfs::examples() } else { &[] };
    udfs::all().iter().chain(examples)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Measure {
    name: &'static str,
    signature: Signature,
    returns: DataType,
}

impl Measure {
    fn of(udf: &'static Udf) -> Measure {
        let arguments = udf.arguments.iter().map(|argument| data_type(argument.kind)).collect();
        Measure {
            name: udf.name,
            signature: Signature::exact(arguments, Volatility::Immutable),
            returns: data_type(udf.returns),
        }
    }
}

/// The Arrow type of an argument or a result of a UDF.
pub(crate) fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::I32 => DataType::Int32,
        Kind::I64 => DataType::Int64,
        Kind::U32 => DataType::UInt32,
        Kind::U64 => DataType::UInt64,
        Kind::F32 => DataType::Float32,
        Kind::F64 => DataType::Float64,
        Kind::Text => DataType::Utf8,
        Kind::Bytes => DataType::Binary,
    }
}

impl AggregateUDFImpl for Measure {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("`{}` outside a hop or tumble window", self.name)
    }
}

/// Plans `expression` over rows of `schema`. It is simplified first, because some functions
/// (`arrow_cast`) exist only until simplification.
pub(crate) fn physical(
    state: &SessionState,
    expression: Expr,
    schema: &DFSchema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(state.config_options().clone())
        .build();
    let simplifier = ExprSimplifier::new(context);
    let expression = simplifier.simplify(simplifier.coerce(expression, schema)?)?;
    state.create_physical_expr(expression, schema)
}
