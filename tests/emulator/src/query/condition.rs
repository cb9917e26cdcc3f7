//! One condition of the query language: a name, an operator of set A, values (reference 16; unknowns 3.15, 3.16).
//!
//! Types are strict: a number that was stored as text is never equal to a number. Text is compared without case. What
//! lacks the property fulfils nothing but `does_not_exist`.

use serde_json::Value;

use crate::json::Json;
use crate::query::refusal::Refusal;

/// What a property must be.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) name: String,
    test: Comparison,
}

#[derive(Debug)]
enum Comparison {
    Equals(Vec<Scalar>),
    NotEquals(Vec<Scalar>),
    Contains(Vec<String>),
    DoesNotContain(Vec<String>),
    Exists,
    DoesNotExist,
    Compare(fn(f64, f64) -> bool, Comparable),
    Between(Comparable, Comparable),
}

#[derive(Debug, PartialEq)]
enum Scalar {
    Number(f64),
    /// In lower case.
    Text(String),
}

/// Something with an order: a number or a date, never one against the other.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparable {
    Number(f64),
    Date(f64),
}

impl Condition {
    /// Reads `{"name":…,"operator":…,"value":…}`.
    ///
    /// # Errors
    ///
    /// Operators outside set A, values that do not fit, keys that are not known.
    pub(crate) fn read(json: &Json<'_>) -> Result<Self, Refusal> {
        let Json::Object(fields) = json else {
            return Err(Refusal::new("Filter is not an object"));
        };
        if let Some((key, _)) = fields.iter().find(|(key, _)| !matches!(&**key, "name" | "operator" | "value")) {
            return Err(Refusal(format!("Unknown key in filter : {key}")));
        }
        let name = json.get("name").and_then(Json::as_text).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Refusal::new("Filter without name"))?.to_owned();
        let operator = match json.get("operator") {
            None => "equals",
            Some(Json::Text(operator)) => operator,
            Some(_) => return Err(Refusal::new("Invalid operator")),
        };
        let test = Self::test(operator, json.get("value"))?;
        Ok(Self { name, test })
    }

    fn test(operator: &str, value: Option<&Json<'_>>) -> Result<Comparison, Refusal> {
        Ok(match operator {
            "equals" => Comparison::Equals(list(value, scalar)?),
            "not_equals" => Comparison::NotEquals(list(value, scalar)?),
            "contains" => Comparison::Contains(list(value, text)?),
            "does_not_contain" => Comparison::DoesNotContain(list(value, text)?),
            "exists" => Comparison::Exists,
            "does_not_exist" => Comparison::DoesNotExist,
            "greater_than" => Comparison::Compare(|left, right| left > right, point(value)?),
            "greater_than_equals" => Comparison::Compare(|left, right| left >= right, point(value)?),
            "less_than" => Comparison::Compare(|left, right| left < right, point(value)?),
            "less_than_equals" => Comparison::Compare(|left, right| left <= right, point(value)?),
            "between" => match value {
                Some(Json::List(pair)) if pair.len() == 2 => {
                    let (low, high) = (point(pair.first())?, point(pair.last())?);
                    if std::mem::discriminant(&low) != std::mem::discriminant(&high) {
                        return Err(invalid());
                    }
                    Comparison::Between(low, high)
                }
                _ => return Err(invalid()),
            },
            other => return Err(Refusal(format!("Invalid operator : {other}"))),
        })
    }

    /// Whether a property, or its absence, fulfils the condition. Of a list one item has to, or none for the negated ones.
    pub(crate) fn holds(&self, property: Option<&Value>) -> bool {
        let Some(property) = property.filter(|property| !property.is_null()) else {
            return matches!(self.test, Comparison::DoesNotExist);
        };
        let items = match property {
            Value::Array(items) => &items[..],
            one => std::slice::from_ref(one),
        };
        let any = |test: &dyn Fn(&Value) -> bool| items.iter().any(test);
        let equals = |wanted: &[Scalar]| any(&|item| known(item).is_some_and(|item| wanted.contains(&item)));
        let contains = |wanted: &[String]| {
            any(&|item| {
                item.as_str().is_some_and(|item| {
                    let item = item.to_lowercase();
                    wanted.iter().any(|part| item.contains(part.as_str()))
                })
            })
        };
        match &self.test {
            Comparison::Exists => true,
            Comparison::DoesNotExist => false,
            Comparison::Equals(wanted) => equals(wanted),
            Comparison::NotEquals(wanted) => !equals(wanted),
            Comparison::Contains(wanted) => contains(wanted),
            Comparison::DoesNotContain(wanted) => !contains(wanted),
            Comparison::Compare(holds, limit) => any(&|item| pair(item, *limit).is_some_and(|(item, limit)| holds(item, limit))),
            Comparison::Between(low, high) => any(&|item| {
                pair(item, *low).is_some_and(|(item, low)| item >= low) && pair(item, *high).is_some_and(|(item, high)| item <= high)
            }),
        }
    }
}

fn invalid() -> Refusal {
    Refusal::new("Invalid value in filter")
}

/// A scalar or a list of them: any of it.
fn list<T>(value: Option<&Json<'_>>, read: fn(&Json<'_>) -> Result<T, Refusal>) -> Result<Vec<T>, Refusal> {
    match value {
        None => Err(invalid()),
        Some(Json::List(items)) if items.is_empty() => Err(invalid()),
        Some(Json::List(items)) => items.iter().map(read).collect(),
        Some(one) => Ok(vec![read(one)?]),
    }
}

/// Booleans are sent as text (reference 16): `true` in JSON is refused.
fn scalar(value: &Json<'_>) -> Result<Scalar, Refusal> {
    match value {
        Json::Text(text) => Ok(Scalar::Text(text.to_lowercase())),
        Json::Number(number) => number.as_f64().map(Scalar::Number).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}

fn text(value: &Json<'_>) -> Result<String, Refusal> {
    value.as_text().filter(|text| !text.is_empty()).map(str::to_lowercase).ok_or_else(invalid)
}

fn point(value: Option<&Json<'_>>) -> Result<Comparable, Refusal> {
    match value {
        Some(Json::Number(number)) => number.as_f64().map(Comparable::Number).ok_or_else(invalid),
        Some(Json::Text(text)) => instant(text).map(Comparable::Date).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}

/// A property as it compares for equality.
fn known(value: &Value) -> Option<Scalar> {
    match value {
        Value::String(text) => Some(Scalar::Text(text.to_lowercase())),
        Value::Bool(flag) => Some(Scalar::Text(flag.to_string())),
        Value::Number(number) => number.as_f64().map(Scalar::Number),
        _ => None,
    }
}

/// A property and a limit of the same kind.
fn pair(value: &Value, limit: Comparable) -> Option<(f64, f64)> {
    match (value, limit) {
        (Value::Number(number), Comparable::Number(limit)) => Some((number.as_f64()?, limit)),
        (Value::String(text), Comparable::Date(limit)) => Some((instant(text)?, limit)),
        _ => None,
    }
}

/// The epoch seconds of a `$D_` text.
fn instant(text: &str) -> Option<f64> {
    let digits = text.strip_prefix("$D_")?;
    digits.parse::<i64>().ok().map(|seconds| seconds as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(text: &str) -> Result<Condition, Refusal> {
        Condition::read(&Json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn each_operator_of_set_a_means_what_it_says() {
        for (operator, value, yes, no) in [
            ("equals", json!("Gold"), json!(["gold", "GOLD", ["x", "gold"]]), json!(["golden", 1, null])),
            ("equals", json!([1, "a"]), json!([1, 1.0, "A"]), json!(["1", true, 2])),
            ("equals", json!("True"), json!([true, "true"]), json!([false, 1])),
            ("not_equals", json!("gold"), json!(["silver", 1]), json!(["Gold", null])),
            ("contains", json!("OL"), json!(["gold"]), json!(["ag", 7, null])),
            ("does_not_contain", json!("ol"), json!(["ag", 7]), json!(["Gold", null])),
            ("exists", Value::Null, json!([0, "", false]), json!([null])),
            ("does_not_exist", Value::Null, json!([null]), json!([0])),
            ("greater_than", json!(5), json!([5.5]), json!([5, "6", null])),
            ("greater_than_equals", json!(5), json!([5]), json!([4.9])),
            ("less_than", json!("$D_100"), json!(["$D_99"]), json!(["$D_100", 99])),
            ("less_than_equals", json!(5), json!([5]), json!([6])),
            ("between", json!([1, 2]), json!([1, 1.5, 2]), json!([0.9, 2.1, "1"])),
        ] {
            let text = match &value {
                Value::Null => json!({ "name": "a", "operator": operator }).to_string(),
                value => json!({ "name": "a", "operator": operator, "value": value }).to_string(),
            };
            let condition = condition(&text).unwrap();
            for (expected, values) in [(true, yes), (false, no)] {
                for value in values.as_array().unwrap() {
                    assert_eq!(condition.holds(Some(value)), expected, "{text} of {value}");
                }
            }
            assert_eq!(condition.holds(None), operator == "does_not_exist", "{text} of nothing");
        }
        assert!(condition(r#"{"name":"a","value":1}"#).unwrap().holds(Some(&json!(1))), "equals is the default");
    }

    #[test]
    fn what_set_a_does_not_have_is_refused() {
        for text in [
            r#"{"name":"a","operator":"gt","value":1}"#,
            r#"{"name":"a","operator":"in","value":[1]}"#,
            r#"{"name":"a","operator":"not_exists"}"#,
            r#"{"name":"a","operator":1,"value":1}"#,
            r#"{"name":"a"}"#,
            r#"{"name":"a","value":true}"#,
            r#"{"name":"a","value":null}"#,
            r#"{"name":"a","value":[]}"#,
            r#"{"name":"a","operator":"contains","value":1}"#,
            r#"{"name":"a","operator":"greater_than","value":"5"}"#,
            r#"{"name":"a","operator":"greater_than","value":[5]}"#,
            r#"{"name":"a","operator":"between","value":[1]}"#,
            r#"{"name":"a","operator":"between","value":[1,"$D_2"]}"#,
            r#"{"name":"","value":1}"#,
            r#"{"value":1}"#,
            r#"{"name":"a","value":1,"unit":"x"}"#,
            r#""a""#,
        ] {
            assert!(condition(text).is_err(), "{text}");
        }
    }
}
