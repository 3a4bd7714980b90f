using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Static members: evaluated once, when they are first read.</content>
internal sealed partial class Interpreter
{
    /// <summary>The frame that static members are variables of.</summary>
    private const int StaticFrame = -1;

    /// <summary>A field that is read-only, from its initialiser or its type's static constructor.</summary>
    private Value Static(IFieldSymbol field)
    {
        var definition = field.OriginalDefinition;
        if (!definition.IsReadOnly) return new Unknown(UnknownReason.Member, field.Name);
        if (definition.DeclaringSyntaxReferences.IsEmpty) return new Unknown(UnknownReason.Metadata, field.Name);
        return StaticValue(definition);
    }

    private Value StaticProperty(IPropertySymbol property)
    {
        var definition = property.OriginalDefinition;
        if (source.IsAutomatic(definition, cancellationToken))
        {
            return definition.SetMethod is null ? StaticValue(definition) : new Unknown(UnknownReason.Member, property.Name);
        }
        if (definition.GetMethod is { } getter && source.BodyOf(getter, cancellationToken) is { } body) return Invoke(getter, body, null, null, []);
        return new Unknown(UnknownReason.Member, property.Name);
    }

    private Value StaticValue(ISymbol member)
    {
        var key = (StaticFrame, member);
        if (!state!.Variables.ContainsKey(key))
        {
            state.Variables = state.Variables.SetItem(key, new Unknown(UnknownReason.Member, member.Name));
            var statics = new Frame(NextFrame(), int.MaxValue - 1, member, null, null);
            In(statics, () =>
            {
                if (source.InitializerOf(member, cancellationToken) is ISymbolInitializerOperation initializer)
                {
                    var value = Evaluate(initializer.Value);
                    if (state is not null) state.Variables = state.Variables.SetItem(key, value);
                }
                else if (member.ContainingType.StaticConstructors.FirstOrDefault() is { } constructor && source.BodyOf(constructor, cancellationToken) is { } body)
                {
                    ExecuteBody(body);
                }
                state = statics.Returns.Aggregate(state, (joined, exit) => State.Join(joined, exit.State));
                // Some code may have changed the object before this one runs.
                if (state is not null && state.Variables[key] is Reference and var held && source.IsWrittenThrough(member.Name, cancellationToken)) Escape(held, []);
                return 0;
            });
        }
        return state is not null && state.Variables.TryGetValue(key, out var known) ? known.KnownBy(Here) : NotFollowed;
    }
}
