using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>What <c>ref</c> gives: a variable, a member of an object, or an element of a collection.</content>
internal sealed partial class Interpreter
{
    /// <summary>The place that an expression after <c>ref</c> names; unknown where it cannot be told, and then the place's value is unknown from there on.</summary>
    private Value PlaceOf(IOperation expression)
    {
        switch (expression)
        {
            case IParenthesizedOperation parenthesized:
                return PlaceOf(parenthesized.Operand);
            case ILocalReferenceOperation { IsDeclaration: false } local:
                var home = HomeOf(local.Local);
                return state!.Variables.TryGetValue((home.Id, local.Local), out var held) && held is Place place ? place : new Place(home.Id, local.Local, null, Here);
            case IParameterReferenceOperation parameter when state!.Variables.ContainsKey((HomeOf(parameter.Parameter).Id, parameter.Parameter)):
                return new Place(HomeOf(parameter.Parameter).Id, parameter.Parameter, null, Here);
            case IFieldReferenceOperation { Instance: { } instance, Field: { ContainingType.IsTupleType: false } field } when Evaluate(instance) is Reference owner:
                return new Place(owner.Id, field.OriginalDefinition, null, Here);
            case IArrayElementReferenceOperation { Indices: [var index] } element:
                return ElementPlace(Evaluate(element.ArrayReference), index);
            case IPropertyReferenceOperation { Property.IsIndexer: true, Instance: { } collection, Arguments: [var position] }:
                return ElementPlace(Evaluate(collection), position.Value);
            case IConditionalOperation { WhenFalse: { } whenFalse } conditional when Evaluate(conditional.Condition) is Constant { Content: bool known }:
                return PlaceOf(known ? conditional.WhenTrue : whenFalse);
            default:
                Forget(expression);
                return NotFollowed;
        }
    }

    private Value ElementPlace(Value collection, IOperation index)
    {
        if (Evaluate(index) is Constant { Content: var content } && collection is Reference owner && ObjectOf(owner) is { IsSequence: true, HasExactItems: true } sequence
            && ItemIndex(content, sequence) is { } position)
        {
            return new Place(owner.Id, null, position, Here);
        }
        ForgetElements(collection);
        return NotFollowed;
    }

    /// <summary>The value that a place holds now.</summary>
    private Value Read(Place place)
    {
        if (state is null) return NotFollowed;
        if (place.Element is { } index)
        {
            return state.Heap.TryGetValue(place.Home, out var sequence) && sequence.HasExactItems && index < sequence.Items.Length ? sequence.Items[index] : NotFollowed;
        }
        if (state.Variables.TryGetValue((place.Home, place.Symbol!), out var value)) return value;
        return place.Symbol is IFieldSymbol && state.Heap.TryGetValue(place.Home, out var found) ? found.Member(place.Symbol) : NotFollowed;
    }

    private void Write(Place place, Value value)
    {
        if (state is null) return;
        if (place.Symbol is ILocalSymbol or IParameterSymbol)
        {
            state.Variables = state.Variables.SetItem((place.Home, place.Symbol), value);
        }
        else if (state.Heap.TryGetValue(place.Home, out var found))
        {
            var isElement = place.Element is { } index && found.HasExactItems && index < found.Items.Length;
            var changed = isElement ? found with { Items = found.Items.SetItem(place.Element!.Value, value) }
                : place.Symbol is { } member ? found with { Members = found.Members.SetItem(member, value) }
                : found with { HasExactItems = false, HasEscaped = true };
            state.Heap = state.Heap.SetItem(place.Home, changed);
        }
    }

    /// <summary>Something may write to what the expression names from here on.</summary>
    private void Forget(IOperation expression)
    {
        switch (expression)
        {
            case IConditionalOperation { WhenFalse: { } whenFalse } conditional:
                Evaluate(conditional.Condition);
                Forget(conditional.WhenTrue);
                Forget(whenFalse);
                break;
            case IArrayElementReferenceOperation element:
                ForgetElements(Evaluate(element.ArrayReference));
                break;
            case ILocalReferenceOperation or IParameterReferenceOperation or IFieldReferenceOperation or IParenthesizedOperation or IConversionOperation:
                Assign(expression, NotFollowed);
                break;
            case IInvocationOperation call:
                // `Find(table, key) = 128`: a reference into what the method was given.
                Evaluate(call);
                if (call.Instance is { } receiver) ForgetObject(receiver);
                foreach (var argument in call.Arguments)
                {
                    if (argument.Parameter?.RefKind is RefKind.Ref) Assign(argument.Value, NotFollowed);
                    else ForgetObject(argument.Value);
                }
                break;
            default:
                ForgetObject(expression);
                break;
        }
    }

    private void ForgetObject(IOperation expression)
    {
        var value = Evaluate(expression);
        ForgetElements(value);
        Escape(value, []);
    }
}
