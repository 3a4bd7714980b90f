using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Reading and writing variables, members and elements.</content>
internal sealed partial class Interpreter
{
    private Frame HomeOf(ISymbol variable)
    {
        for (var home = frame; home is not null; home = home.LexicalParent)
        {
            if (state!.Variables.ContainsKey((home.Id, variable))) return home;
        }
        return frame;
    }

    private Value Variable(ISymbol variable)
    {
        var home = HomeOf(variable);
        if (state!.Variables.TryGetValue((home.Id, variable), out var value)) return value is Place place ? Read(place) : value;
        // A parameter of a primary constructor that another member uses.
        if (variable is IParameterSymbol && ObjectOf(frame.Receiver) is { } receiver) return receiver.Member(variable.OriginalDefinition);
        return new Unknown(variable is IParameterSymbol ? UnknownReason.Parameter : UnknownReason.NotFollowed, variable.Name);
    }

    private void SetVariable(Frame home, ISymbol variable, Value value)
    {
        if (state is null) return;
        state.Variables = state.Variables.SetItem((home.Id, variable), value);
        home.Variables.Add(variable);
    }

    /// <summary>Forgets the variables of a call that is over, so that states stay small; those that code made in it may still use are kept.</summary>
    private void Drop(Frame callee, IMethodSymbol method)
    {
        if (state is null || method.RefKind != RefKind.None || method.Parameters.Any(parameter => parameter.RefKind is RefKind.Out or RefKind.Ref)) return;
        if (!source.KeepsVariables(method.OriginalDefinition, cancellationToken)) state.Variables = state.Variables.RemoveRange(callee.Variables.Select(variable => (callee.Id, variable)));
    }

    private Value Instance(IInstanceReferenceOperation instance)
    {
        if (instance.ReferenceKind == InstanceReferenceKind.ImplicitReceiver) return frame.Initialised.Count > 0 ? frame.Initialised.Peek() : NotFollowed;
        for (var home = frame; home is not null; home = home.LexicalParent)
        {
            if (home.Receiver is { } receiver) return receiver;
        }
        return NotFollowed;
    }

    private Value Field(IFieldReferenceOperation reference)
    {
        var field = reference.Field;
        if (field.IsStatic) return Static(field);
        if (reference.Instance is null) return NotFollowed;
        return Select(Evaluate(reference.Instance), field);
    }

    private Value Property(IPropertyReferenceOperation reference)
    {
        var property = reference.Property;
        if (reference.Instance is null)
        {
            if (!property.IsStatic) return NotFollowed;
            return reference.ConstrainedToType is { } constrained ? PropertyOfTypeParameter(property, constrained) : StaticProperty(property);
        }
        var instance = Evaluate(reference.Instance);
        if (property.ContainingType is { IsExtension: true })
        {
            using var _ = EnterCall(reference.Syntax);
            return property.GetMethod is { } extension && source.BodyOf(extension, cancellationToken) is { } code ? Invoke(extension, code, instance, null, []) : NotFollowed;
        }
        if (property.IsIndexer)
        {
            return property.GetMethod is { } getter && Actual(getter, instance, false) is { } indexer && source.BodyOf(indexer, cancellationToken) is { } code
                ? Invoke(indexer, code, instance, null, AccessorArguments(indexer, reference))
                : Element(instance, [.. reference.Arguments.Select(argument => argument.Value)], property.Type);
        }
        if (ObjectOf(instance) is { IsSequence: true } sequence && CollectionProperty(instance, sequence, property) is { } known) return known;
        if (instance is Constant { Content: string text } && property.Name == "Length") return new Constant(text.Length, instance.From.And(Here));
        return Select(instance, property, reference.Instance is IInstanceReferenceOperation { IsImplicit: false, Syntax: var syntax } && syntax.ToString() == "base");
    }

    /// <summary>The member of each object that <paramref name="instance"/> can be.</summary>
    private Value Select(Value instance, ISymbol member, bool isBase = false)
    {
        var results = new List<Value>();
        foreach (var alternative in instance.Alternatives)
        {
            switch (alternative)
            {
                case Reference reference when ObjectOf(reference) is { } found:
                    results.Add(Through(instance, ReadMember(reference, found, member, isBase)));
                    break;
                case TupleValue { Elements: [var key, var content] } pair when member.ContainingType.Name == "KeyValuePair" && member.Name is "Key" or "Value":
                    results.Add((member.Name == "Key" ? key : content).KnownBy(pair.From).KnownBy(instance.From));
                    break;
                case TupleValue tuple when TupleIndex(member) is { } index && index < tuple.Elements.Length:
                    results.Add(tuple.Elements[index].KnownBy(instance.From));
                    break;
                case Constant { Content: not null } constant when member.Name == "Value":
                    results.Add(constant);
                    break;
                case Constant { Content: not null } when member.Name == "HasValue":
                    results.Add(Known(true));
                    break;
                case Constant { Content: null } when member.Name == "HasValue":
                    results.Add(Known(false));
                    break;
                case Constant { Content: null }:
                    // The access throws.
                    break;
                case Unknown unknown:
                    return new Unknown(unknown.Reason == UnknownReason.Parameter ? unknown.Reason : UnknownReason.Member, unknown.Subject ?? member.Name);
                default:
                    return new Unknown(UnknownReason.Member, member.Name);
            }
        }
        return Value.OneOf(results);
    }

    /// <summary>A member of an object that an argument carried: the argument is what decides.</summary>
    private static Value Through(Value instance, Value member) =>
        instance.From.Via is not null && member.From.Depth >= instance.From.Depth && member is not Unknown ? member.WithFrom(instance.From) : member.KnownBy(instance.From);

    private static int? TupleIndex(ISymbol member)
    {
        if (member is not IFieldSymbol { ContainingType.IsTupleType: true } field) return null;
        var plain = field.CorrespondingTupleField ?? field;
        var index = field.ContainingType.TupleElements.IndexOf(plain, SymbolEqualityComparer.Default);
        if (index < 0) index = field.ContainingType.TupleElements.IndexOf(field, SymbolEqualityComparer.Default);
        return index >= 0 ? index : plain.Name.StartsWith("Item", StringComparison.Ordinal) && int.TryParse(plain.Name.Substring(4), out var number) ? number - 1 : null;
    }

    private Value ReadMember(Reference reference, HeapObject found, ISymbol member, bool isBase = false)
    {
        var definition = member.OriginalDefinition;
        if (definition is not IPropertySymbol property || found.Members.ContainsKey(definition)) return MemberOf(reference, found, definition);
        if (found.Widths is { } widths && property.Name is "in_features" or "out_features" && !widths.In.Equals(null))
        {
            return property.Name == "in_features" ? widths.In : widths.Out;
        }
        var choice = Provenance.Independent;
        if (!isBase && Overriding(property, found) is { } actual)
        {
            property = actual;
            // Which override is read, the construction decides.
            choice = new Provenance(found.MadeDepth, null);
            if (found.Members.ContainsKey(property.OriginalDefinition)) return found.Member(property.OriginalDefinition).KnownBy(choice);
        }
        else if (!isBase && (property.IsVirtual || property.IsAbstract || property.IsOverride) && !found.IsExact)
        {
            return new Unknown(UnknownReason.Call, property.Name);
        }
        if (source.IsAutomatic(property, cancellationToken)) return MemberOf(reference, found, property.OriginalDefinition).KnownBy(choice);
        if (property.GetMethod is { } getter && source.BodyOf(getter, cancellationToken) is { } body) return Invoke(getter, body, reference, null, []).KnownBy(choice);
        return new Unknown(UnknownReason.Member, property.Name);
    }

    /// <summary>The value of a field or automatic property; of one that only its initialiser writes, that, where the object was made elsewhere.</summary>
    private Value MemberOf(Reference owner, HeapObject found, ISymbol member)
    {
        if (found.Members.ContainsKey(member) || !found.IsOpen || !source.IsSetByInitializerAlone(member, cancellationToken)
            || source.InitializerOf(member, cancellationToken) is not ISymbolInitializerOperation initializer)
        {
            return found.Member(member);
        }
        Update(owner, found with { Members = found.Members.SetItem(member, new Unknown(UnknownReason.Member, member.Name)) });
        var value = In(new Frame(NextFrame(), int.MaxValue - 1, member, owner, null), () => CopyOfStruct(Evaluate(initializer.Value)));
        if (ObjectOf(owner) is not { } latest) return NotFollowed;
        // What the object holds may have changed since it was made.
        if (value is Reference) Escape(value, []);
        Update(owner, latest with { Members = latest.Members.SetItem(member, value) });
        return value.KnownBy(Here);
    }

    private static IPropertySymbol? Overriding(IPropertySymbol property, HeapObject found)
    {
        if (!found.IsExact || !(property.IsVirtual || property.IsAbstract || property.IsOverride)) return null;
        for (var type = found.Type; type is not null; type = type.BaseType)
        {
            foreach (var candidate in type.GetMembers(property.Name).OfType<IPropertySymbol>())
            {
                if (!candidate.IsAbstract) return candidate;
            }
        }
        return null;
    }

    private void Assign(IOperation target, Value value)
    {
        if (state is null) return;
        value = value.KnownBy(frame.Control);
        switch (target)
        {
            case ILocalReferenceOperation local:
                SetLocal(local.Local, value);
                break;
            case IParameterReferenceOperation parameter:
                SetParameter(parameter.Parameter, value);
                break;
            case IDeclarationExpressionOperation declaration:
                Assign(declaration.Expression, value);
                break;
            case ITupleOperation tuple:
                Deconstruct(tuple, value);
                break;
            case IFieldReferenceOperation { Field: { IsStatic: true } field }:
                if (frame.Depth == int.MaxValue - 1) state.Variables = state.Variables.SetItem((StaticFrame, field.OriginalDefinition), value);
                break;
            case IFieldReferenceOperation { Instance: { } instance, Field.ContainingType.IsTupleType: true } reference:
                SetTupleElement(instance, reference.Field, value);
                break;
            case IFieldReferenceOperation { Instance: { } instance } reference:
                SetMember(Evaluate(instance), reference.Field.OriginalDefinition, value, target);
                break;
            case IPropertyReferenceOperation { Property.IsIndexer: true, Instance: { } instance } reference:
                SetIndexed(reference, Evaluate(instance), value);
                break;
            case IPropertyReferenceOperation { Instance: { } instance } reference:
                SetProperty(Evaluate(instance), reference.Property, value, target);
                break;
            case IPropertyReferenceOperation { Property: { IsStatic: true } property }:
                if (frame.Depth == int.MaxValue - 1) state.Variables = state.Variables.SetItem((StaticFrame, property.OriginalDefinition), value);
                break;
            case IArrayElementReferenceOperation element:
                SetElement(Evaluate(element.ArrayReference), element.Indices, value);
                break;
            case IConversionOperation conversion:
                Assign(conversion.Operand, value);
                break;
            case IDiscardOperation:
                break;
            case IConditionalOperation or IInvocationOperation:
                Forget(target);
                break;
            default:
                Opaque(target);
                break;
        }
    }

    private void SetLocal(ILocalSymbol local, Value value)
    {
        var home = HomeOf(local);
        if (local.RefKind == RefKind.None || !state!.Variables.TryGetValue((home.Id, local), out var held)) SetVariable(home, local, value);
        else foreach (var place in held.Alternatives.OfType<Place>()) Write(place, held is Place ? value : NotFollowed);
    }

    private void SetTupleElement(IOperation tuple, IFieldSymbol element, Value value)
    {
        if (Evaluate(tuple) is not TupleValue known || TupleIndex(element) is not { } index || index >= known.Elements.Length) return;
        Assign(tuple, new TupleValue(known.Elements.SetItem(index, value), known.From));
    }

    private void SetParameter(IParameterSymbol parameter, Value value)
    {
        var home = HomeOf(parameter);
        if (state!.Variables.ContainsKey((home.Id, parameter))) SetVariable(home, parameter, value);
        else if (frame.Receiver is Reference receiver && ObjectOf(receiver) is { } found) Update(receiver, found with { Members = found.Members.SetItem(parameter.OriginalDefinition, value) });
    }

    private void Deconstruct(ITupleOperation targets, Value value)
    {
        var parts = Enumerable.Range(0, targets.Elements.Length).Select(index => Part(value, index, targets.Elements.Length)).ToList();
        for (var index = 0; index < parts.Count; index++) Assign(targets.Elements[index], parts[index]);
    }

    /// <summary>What deconstruction gives at a position: the element of a tuple, the property of a positional record, or what a method <c>Deconstruct</c> gives.</summary>
    private Value Part(Value value, int index, int count) => value switch
    {
        TupleValue tuple when index < tuple.Elements.Length => tuple.Elements[index].KnownBy(value.From),
        Reference when PositionalMember(value, index) is { } member => Select(value, member),
        Reference when ObjectOf(value)?.Type is { } type && DeconstructMethod(type, count) is { } method && source.BodyOf(method, cancellationToken) is { } body => OutValue(method, body, value, index),
        Unknown unknown => unknown,
        _ => NotFollowed,
    };

    private static IMethodSymbol? DeconstructMethod(ITypeSymbol type, int count)
    {
        for (var level = type; level is not null; level = level.BaseType)
        {
            var found = level.OriginalDefinition.GetMembers("Deconstruct").OfType<IMethodSymbol>()
                .FirstOrDefault(method => !method.IsStatic && method.Parameters.Length == count && method.Parameters.All(parameter => parameter.RefKind == RefKind.Out));
            if (found is not null) return found;
        }
        return null;
    }

    private Value OutValue(IMethodSymbol method, IOperation body, Value receiver, int index)
    {
        Invoke(method, body, receiver, null, [.. method.Parameters.Select(parameter => (parameter, (Value)NotFollowed))]);
        return Through(receiver, LatestOf(method.Parameters[index]));
    }

    /// <summary>The value that a parameter had at the end of its latest call.</summary>
    private Value LatestOf(IParameterSymbol parameter)
    {
        if (state is null) return NotFollowed;
        Charge(state.Variables.Count);
        return state.Variables.Where(pair => Same(pair.Key.Variable, parameter.OriginalDefinition)).OrderByDescending(pair => pair.Key.Frame).FirstOrDefault().Value ?? NotFollowed;
    }

    /// <summary>The property behind the n-th parameter of a positional record.</summary>
    private IPropertySymbol? PositionalMember(Value value, int index)
    {
        if (ObjectOf(value)?.Type is not INamedTypeSymbol { IsRecord: true } type) return null;
        var primary = type.OriginalDefinition.InstanceConstructors.FirstOrDefault(IsPrimary);
        return primary is not null && index < primary.Parameters.Length
            ? type.OriginalDefinition.GetMembers(primary.Parameters[index].Name).OfType<IPropertySymbol>().FirstOrDefault()
            : null;
    }

    private void SetMember(Value instance, ISymbol member, Value value, IOperation target)
    {
        if (instance is not Reference reference || ObjectOf(reference) is not { } found)
        {
            ForgetEverywhere(member);
            ObserveLoose(instance, member, value, target);
            return;
        }
        value = value.KnownBy(BoundAt((target.Parent as IAssignmentOperation)?.Value.Syntax ?? target.Syntax));
        Update(reference, found with { Members = found.Members.SetItem(member, value) });
        if (!underConstruction.Contains(reference.Id)) ObserveAssigned(reference, found, member, value, target);
    }

    private void ObserveAssigned(Reference reference, HeapObject found, ISymbol member, Value value, IOperation target)
    {
        if (found.Type is not INamedTypeSymbol type) return;
        foreach (var known in knowledge.TargetsOf(type))
        {
            if (Same(known.Symbol, member)) ObserveTarget(known, value, reference.Id, Site(target.Syntax));
        }
    }

    private void ObserveLoose(Value instance, ISymbol member, Value value, IOperation target)
    {
        if (instance is not Unknown || member.ContainingType is not { } type) return;
        value = value.KnownBy(BoundAt((target.Parent as IAssignmentOperation)?.Value.Syntax ?? target.Syntax));
        foreach (var known in knowledge.TargetsOf(type))
        {
            if (Same(known.Symbol, member)) ObserveTarget(known, value, -1, Site(target.Syntax));
        }
    }

    private void SetProperty(Value instance, IPropertySymbol property, Value value, IOperation target)
    {
        var definition = property.OriginalDefinition;
        if (source.IsAutomatic(definition, cancellationToken))
        {
            SetMember(instance, definition, value, target);
        }
        else if (instance is Reference reference && definition.SetMethod is { } setter && source.BodyOf(setter, cancellationToken) is { } body)
        {
            Invoke(setter, body, reference, null, [(setter.Parameters[setter.Parameters.Length - 1], value)]);
        }
        else
        {
            if (instance is not Reference) EscapeEverywhere(definition.ContainingType);
            Escape(instance, [value]);
        }
    }
}
