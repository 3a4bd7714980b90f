using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Expressions: each gives the value that is known of it, and has the effects that are known of it.</content>
internal sealed partial class Interpreter
{
    private Value Evaluate(IOperation expression)
    {
        if (state is null || !Step()) return new Unknown(UnknownReason.TooLong);
        if (expression.ConstantValue is { HasValue: true } constant) return Known(constant.Value);
        if (++nesting > MaxNesting) IsExhausted = true;
        var value = IsExhausted ? new Unknown(UnknownReason.TooLong) : EvaluateExpression(expression);
        nesting--;
        return value;
    }

    private Value EvaluateExpression(IOperation expression)
    {
        switch (expression)
        {
            case IParenthesizedOperation parenthesized: return Evaluate(parenthesized.Operand);
            case ILocalReferenceOperation local: return Variable(local.Local);
            case IParameterReferenceOperation parameter: return Variable(parameter.Parameter);
            case IInstanceReferenceOperation instance: return Instance(instance);
            case IFieldReferenceOperation field: return Field(field);
            case IPropertyReferenceOperation property: return Property(property);
            case IArrayElementReferenceOperation element: return Element(Evaluate(element.ArrayReference), element.Indices, element.Type);
            case IImplicitIndexerReferenceOperation element: return Element(Evaluate(element.Instance), [element.Argument], element.Type);
            case IConversionOperation conversion: return Convert(conversion);
            case IUnaryOperation { OperatorKind: UnaryOperatorKind.Hat } hat: return IndexFromEnd(hat);
            case IUnaryOperation unary: return Unary(unary);
            case IRangeOperation range: return RangeOf(range);
            case IBinaryOperation binary: return Binary(binary);
            case IIncrementOrDecrementOperation increment: return Increment(increment);
            case ICompoundAssignmentOperation compound: return Compound(compound);
            case ISimpleAssignmentOperation { IsRef: true, Target: ILocalReferenceOperation rebound } assignment:
                SetVariable(HomeOf(rebound.Local), rebound.Local, PlaceOf(assignment.Value));
                return NotFollowed;
            case ISimpleAssignmentOperation assignment:
                var assigned = CopyOfStruct(Evaluate(assignment.Value));
                Assign(assignment.Target, assigned);
                return assigned;
            case IDeconstructionAssignmentOperation deconstruction:
                var parts = Evaluate(deconstruction.Value);
                Assign(deconstruction.Target, parts);
                return parts;
            case ICoalesceOperation coalesce: return Coalesce(coalesce);
            case ICoalesceAssignmentOperation coalesce: return CoalesceAssignment(coalesce);
            case IConditionalOperation { WhenFalse: { } whenFalse } conditional: return Conditional(conditional, whenFalse);
            case IConditionalAccessOperation access: return ConditionalAccess(access);
            case IConditionalAccessInstanceOperation: return accessed.Count > 0 ? accessed.Peek() : NotFollowed;
            case ISwitchExpressionOperation choice: return SwitchExpression(choice);
            case IIsPatternOperation pattern: return Truth(MatchesPattern(pattern.Pattern, Evaluate(pattern.Value)));
            case ITupleOperation tuple: return new TupleValue([.. tuple.Elements.Select(element => Evaluate(element))], Here);
            case IDeclarationExpressionOperation declaration: return Evaluate(declaration.Expression);
            case IObjectCreationOperation creation: return Create(creation);
            case IAnonymousObjectCreationOperation anonymous: return CreateAnonymous(anonymous);
            case ITypeParameterObjectCreationOperation creation: return Create(creation);
            case IWithOperation with: return With(with);
            case IArrayCreationOperation array: return CreateArray(array);
            case IArrayInitializerOperation row: return Sequence([.. row.ElementValues.Select(value => CopyOfStruct(Evaluate(value)))], true, null);
            case ICollectionExpressionOperation collection: return CreateCollection(collection);
            case IInvocationOperation invocation: return Call(invocation);
            case IAwaitOperation awaited: return Evaluate(awaited.Operation);
            case IDelegateCreationOperation creation: return Evaluate(creation.Target);
            case IMethodReferenceOperation method: return Delegate(method);
            case IAnonymousFunctionOperation lambda:
                RunUncalled(lambda.Symbol, lambda);
                return new Function(lambda.Symbol, lambda, frame, frame.Receiver, Here);
            case IDefaultValueOperation { Type: { } type }: return Folding.Default(type)?.KnownBy(Here) ?? NotFollowed;
            case IThrowOperation thrown:
                Execute(thrown);
                return NotFollowed;
            case IObjectOrCollectionInitializerOperation initializer:
                Initialize(initializer);
                return NotFollowed;
            case IAddressOfOperation address:
                Forget(address.Reference);
                return NotFollowed;
            case INameOfOperation or ITypeOfOperation or ISizeOfOperation or ILiteralOperation:
                return NotFollowed;
            default:
                return StackAllocation(expression) ?? Opaque(expression);
        }
    }

    /// <summary>A method as a value; a local function sees the variables of the current frame.</summary>
    private Function Delegate(IMethodReferenceOperation method) =>
        new(method.Method, null, method.Method.MethodKind == MethodKind.LocalFunction ? frame : null, method.Instance is { } on ? Evaluate(on) : null, Here);

    /// <summary>An operation without meaning here: its parts may still create objects or assign.</summary>
    private Value Opaque(IOperation operation)
    {
        var isDynamic = operation is IDynamicInvocationOperation or IDynamicMemberReferenceOperation or IDynamicIndexerAccessOperation or IDynamicObjectCreationOperation;
        foreach (var child in operation.ChildOperations)
        {
            if (child is IBlockOperation or IVariableDeclarationGroupOperation or IExpressionStatementOperation)
            {
                Execute(child);
                continue;
            }
            var value = Evaluate(child);
            if (isDynamic) Escape(value, []);
        }
        return NotFollowed;
    }

    private readonly Stack<Value> accessed = new();

    private Value Map(Value operand, Func<object?, object?> fold)
    {
        if (operand is Unknown) return operand;
        var results = new List<Value>();
        foreach (var alternative in operand.Alternatives)
        {
            if (alternative is not Constant constant || fold(constant.Content) is not { } result) return NotFollowed;
            results.Add(new Constant(result, constant.From));
        }
        return Value.OneOf(results).KnownBy(operand.From).KnownBy(Here);
    }

    private Value Binary(IBinaryOperation binary)
    {
        if (binary.OperatorKind is BinaryOperatorKind.ConditionalAnd or BinaryOperatorKind.ConditionalOr) return ShortCircuit(binary);
        var left = Evaluate(binary.LeftOperand);
        var right = Evaluate(binary.RightOperand);
        if (binary.OperatorMethod is { } custom && !IsBuiltIn(custom)) return Operator(custom, binary, left, right);
        return Combine(binary.OperatorKind, left, right, binary.IsChecked);
    }

    private Value Unary(IUnaryOperation unary)
    {
        var operand = Evaluate(unary.Operand);
        if (unary.OperatorMethod is { } custom && !IsBuiltIn(custom)) return Operator(custom, unary, operand);
        return Map(operand, content => Folding.Unary(unary.OperatorKind, content));
    }

    /// <summary>An operator or conversion that a type in source defines.</summary>
    private Value Operator(IMethodSymbol method, IOperation use, params Value[] operands)
    {
        if (state is null || source.BodyOf(method, cancellationToken) is not { } body || operands.Any(operand => operand is Constant { Content: null })) return NotFollowed;
        using var _ = EnterCall(use.Syntax);
        return Invoke(method, body, null, null, [.. operands.Select((operand, index) => (method.OriginalDefinition.Parameters[index], CopyOfStruct(operand)))]);
    }

    private static bool IsBuiltIn(IMethodSymbol method) => method.ContainingType?.SpecialType is not (null or SpecialType.None);

    private Value Combine(BinaryOperatorKind kind, Value left, Value right, bool isChecked)
    {
        if (kind is BinaryOperatorKind.Equals or BinaryOperatorKind.NotEquals && AreEqual(left, right) is { } equal)
        {
            return new Constant(equal == (kind == BinaryOperatorKind.Equals), left.From.And(right.From).And(Here));
        }
        if (left is Unknown) return left;
        if (right is Unknown) return right;
        var results = new List<Value>();
        foreach (var one in left.Alternatives)
        {
            foreach (var other in right.Alternatives)
            {
                if (one is not Constant a || other is not Constant b || Folding.Binary(kind, a.Content, b.Content, isChecked) is not { } result) return NotFollowed;
                results.Add(new Constant(result, a.From.With(b.From)));
            }
        }
        return Value.OneOf(results).KnownBy(left.From.With(right.From)).KnownBy(Here);
    }

    /// <summary>Whether two values are equal; null where that is not known.</summary>
    private bool? AreEqual(Value left, Value right) => (left, right) switch
    {
        (Constant a, Constant b) => Equals(a.Content, b.Content) || (Folding.Integer(a.Content) is { } x && Folding.Integer(b.Content) is { } y && x == y),
        (Reference or TupleValue or Function, Constant { Content: null }) or (Constant { Content: null }, Reference or TupleValue or Function) => false,
        (Choice choice, _) when choice.Alternatives.All(alternative => AreEqual(alternative, right) == false) => false,
        (_, Choice choice) when choice.Alternatives.All(alternative => AreEqual(left, alternative) == false) => false,
        (Reference a, Reference b) when a.Id == b.Id && !HasValueEquality(a) => true,
        _ => null,
    };

    private bool HasValueEquality(Reference reference) => ObjectOf(reference)?.Type is not { IsReferenceType: true };

    private Value ShortCircuit(IBinaryOperation binary)
    {
        var decisive = binary.OperatorKind == BinaryOperatorKind.ConditionalOr;
        var left = Evaluate(binary.LeftOperand);
        if (state is null || left is Constant { Content: bool known } && known == decisive) return left;
        if (left is Constant) return Evaluate(binary.RightOperand).KnownBy(left.From);
        var before = state.Copy();
        var right = Evaluate(binary.RightOperand);
        state = State.Join(before, state);
        return right is Constant { Content: bool content } && content == decisive && left is not Constant ? NotFollowed : NotFollowedOr(left, right, decisive);
    }

    /// <summary><c>unknown &amp;&amp; false</c> is false, and <c>unknown || true</c> is true.</summary>
    private static Value NotFollowedOr(Value left, Value right, bool decisive) =>
        right is Constant { Content: bool content } && content == decisive ? right : left is Unknown ? left : NotFollowed;

    private static Value Truth(bool? known) => known is { } content ? new Constant(content, Provenance.Independent) : NotFollowed;

    private Value Conditional(IConditionalOperation conditional, IOperation whenFalse)
    {
        Value value = NotFollowed;
        var reached = new List<Value>();
        void Side(IOperation side)
        {
            value = CopyOfStruct(Evaluate(side)).KnownBy(frame.Control);
            if (state is not null) reached.Add(value);
        }
        Branch(conditional.Condition, () => Side(conditional.WhenTrue), () => Side(whenFalse));
        return reached.Count == 0 ? NotFollowed : reached.Aggregate(Value.Join);
    }

    private Value Coalesce(ICoalesceOperation coalesce)
    {
        var value = Evaluate(coalesce.Value);
        if (state is null || value is Constant { Content: not null } or Reference or TupleValue or Function) return value;
        if (value is Constant) return Evaluate(coalesce.WhenNull).KnownBy(value.From);
        var before = state.Copy();
        var otherwise = Evaluate(coalesce.WhenNull);
        var isReached = state is not null;
        state = State.Join(before, state);
        var notNull = value.Alternatives.Where(alternative => alternative is not Constant { Content: null }).ToList();
        return isReached ? Value.OneOf([.. notNull, otherwise]) : Value.OneOf(notNull);
    }

    private Value CoalesceAssignment(ICoalesceAssignmentOperation coalesce)
    {
        var value = Evaluate(coalesce.Target);
        if (state is null || value is Constant { Content: not null } or Reference or TupleValue or Function) return value;
        var before = state.Copy();
        var assigned = CopyOfStruct(Evaluate(coalesce.Value));
        Assign(coalesce.Target, assigned);
        if (value is Constant) return assigned;
        state = State.Join(before, state);
        return Value.Join(value, assigned);
    }

    private Value ConditionalAccess(IConditionalAccessOperation access)
    {
        var value = Evaluate(access.Operation);
        if (state is null || value is Constant { Content: null }) return value;
        var before = state.Copy();
        accessed.Push(value);
        var result = Evaluate(access.WhenNotNull);
        accessed.Pop();
        if (value is not (Reference or TupleValue or Constant or Function))
        {
            state = State.Join(before, state);
            return value is Unknown ? value : NotFollowed;
        }
        return result;
    }

    private Value SwitchExpression(ISwitchExpressionOperation choice)
    {
        var value = Evaluate(choice.Value);
        var results = new List<Value>();
        State? after = null;
        foreach (var arm in choice.Arms)
        {
            if (state is null) break;
            var matches = MatchesPattern(arm.Pattern, value);
            if (matches == true && arm.Guard is { } guard) matches = Evaluate(guard) is Constant { Content: bool holds } ? holds : null;
            if (matches == false) continue;
            var before = state!.Copy();
            Under(matches == true ? value.From : Provenance.Independent, () =>
            {
                var result = CopyOfStruct(Evaluate(arm.Value)).KnownBy(frame.Control);
                if (state is not null) results.Add(result);
            });
            after = State.Join(after, state);
            state = matches == true ? null : before;
        }
        // Without a matching arm the expression throws.
        state = after;
        return results.Count == 0 ? NotFollowed : results.Aggregate(Value.Join);
    }

    private Value Convert(IConversionOperation conversion)
    {
        var value = Evaluate(conversion.Operand);
        if (conversion.Type is { Name: "Index" or "Range", ContainingNamespace.Name: "System" } && value is Constant) return value;
        if (conversion.OperatorMethod is { } custom && !IsBuiltIn(custom))
        {
            return !custom.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty ? Operator(custom, conversion, value) : value is Constant ? NotFollowed : value;
        }
        if (value is not (Constant or Choice)) return value;
        if (value.Alternatives.All(alternative => alternative is Constant { Content: not (null or string or bool) }))
        {
            return Map(value, content => Folding.Convert(content, conversion.Type, conversion.IsChecked));
        }
        return value;
    }

    private Value Increment(IIncrementOrDecrementOperation increment)
    {
        var before = Evaluate(increment.Target);
        var one = Folding.Convert(1, increment.Target.Type, false) ?? 1;
        var kind = increment.Kind == OperationKind.Increment ? BinaryOperatorKind.Add : BinaryOperatorKind.Subtract;
        var after = increment.OperatorMethod is { Parameters.Length: 1 } custom && !IsBuiltIn(custom)
            ? Operator(custom, increment, before)
            : Map(Combine(kind, before, Known(one), increment.IsChecked), content => Folding.Convert(content, increment.Target.Type, increment.IsChecked));
        Assign(increment.Target, after);
        return increment.IsPostfix ? before : after;
    }

    private Value Compound(ICompoundAssignmentOperation compound)
    {
        var left = Evaluate(compound.Target);
        var right = Evaluate(compound.Value);
        var result = compound.OperatorMethod is { Parameters.Length: 2 } custom && !IsBuiltIn(custom)
            ? Operator(custom, compound, left, right)
            : compound.OperatorMethod is { Parameters.Length: < 2 } ? NotFollowed
            : Combine(compound.OperatorKind, Promote(left, compound.Value.Type), right, compound.IsChecked);
        if (result is Constant) result = Map(result, content => content is bool or string ? content : Folding.Convert(content, compound.Target.Type, compound.IsChecked));
        Assign(compound.Target, result);
        return result;
    }

    private Value Promote(Value value, ITypeSymbol? type) =>
        type?.SpecialType is SpecialType.System_Int64 or SpecialType.System_Double ? Map(value, content => Folding.Convert(content, type, false)) : value;

    /// <summary>A struct is copied where it is stored.</summary>
    private Value CopyOfStruct(Value value) =>
        value is Reference && ObjectOf(value) is { Type.IsValueType: true } found ? Allocate(found).KnownBy(value.From) : value;
}
