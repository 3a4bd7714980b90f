using System.Numerics;

namespace Fossil.Models.Chat.Jinja;

/// <summary>Attributes and elements, as Jinja's sandbox gives them: <c>a.b</c> looks for an attribute first and then for an element, <c>a['b']</c> the other way round.</summary>
internal static class Attributes
{
    private static readonly HashSet<string> HiddenOfList = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];
    private static readonly HashSet<string> HiddenOfDict = ["clear", "pop", "popitem", "setdefault", "update"];

    // What every object has; the sandbox hides it.
    private static readonly HashSet<string> OfObjects =
    [
        "__class__", "__delattr__", "__dir__", "__doc__", "__eq__", "__format__", "__ge__", "__getattribute__", "__getstate__", "__gt__", "__hash__", "__init__", "__init_subclass__", "__le__", "__lt__", "__ne__", "__new__",
        "__reduce__", "__reduce_ex__", "__repr__", "__setattr__", "__sizeof__", "__str__", "__subclasshook__",
    ];

    private static readonly HashSet<string> OfContainers = ["__add__", "__class_getitem__", "__contains__", "__delitem__", "__getitem__", "__iter__", "__len__", "__mul__", "__reversed__", "__rmul__", "__setitem__", "__or__", "__ior__", "__iadd__", "__imul__"];

    /// <summary><c>owner.name</c></summary>
    public static object GetAttribute(object owner, string name) =>
        FindAttribute(owner, name) ?? FindElement(owner, new MarkedText(name)) ?? Undefined.Member(owner, new MarkedText(name));

    /// <summary><c>owner[key]</c></summary>
    public static object GetElement(object owner, object key)
    {
        if (owner is Undefined missing) throw missing.Error();
        return FindElement(owner, key) ?? (key is MarkedText name ? FindAttribute(owner, name.Value) : null) ?? Undefined.Member(owner, key);
    }

    /// <summary>The filter <c>attr</c>: an attribute only.</summary>
    public static object GetAttributeOnly(object owner, string name) => FindAttribute(owner, name) ?? Undefined.Member(owner, new MarkedText(name));

    /// <summary><c>owner[start:stop:step]</c></summary>
    public static object Slice(object owner, object start, object stop, object step)
    {
        if (owner is Undefined missing) throw missing.Error();
        if (owner is not (MarkedText or PythonList or PythonRange or PythonBytes)) return owner is PythonDict ? throw JinjaError.Type("a dict has no slices.") : Undefined.Member(owner, new MarkedText("slice"));
        var length = Python.Length(owner)!.Value;
        var by = step is None ? BigInteger.One : Bound(step);
        if (by.IsZero) throw JinjaError.Value("a slice's step cannot be zero.");
        var forward = by > 0;
        var from = start is None ? forward ? 0 : length - 1 : Clamp(Bound(start));
        var to = stop is None ? forward ? length : -1 : Clamp(Bound(stop));
        if (owner is PythonRange range) return new PythonRange(range.At(from), range.At(to), range.Step * by);

        var indices = new List<int>();
        for (var i = from; forward ? i < to : i > to; i += by) indices.Add((int)i);
        switch (owner)
        {
            case MarkedText text when by.IsOne && indices.Count > 0:
                var offset = text.Offset(indices[0]);
                return text.Substring(offset, text.Offset(indices[^1] + 1) - offset);
            case MarkedText text:
                var points = text.CodePoints().ToArray();
                return indices.Aggregate(new MarkedTextBuilder(), (result, index) => result.Append(points[index])).ToText(text.IsMarkup);
            case PythonBytes bytes:
                return new PythonBytes([.. indices.Select(index => bytes.Value[index])]);
            default:
                var list = (PythonList)owner;
                object[] items = [.. indices.Select(index => list[index])];
                return list.IsTuple ? new PythonTuple(items) : new PythonList(items);
        }

        BigInteger Clamp(BigInteger index)
        {
            if (index < 0) index += length;
            return forward ? BigInteger.Clamp(index, 0, length) : BigInteger.Clamp(index, -1, length - 1);
        }

        static BigInteger Bound(object value) => Python.TryInteger(value, out var integer) ? integer : throw JinjaError.Type($"a slice's bounds are integers or none, not {Python.TypeName(value)}.");
    }

    private static object? FindElement(object owner, object key)
    {
        switch (owner)
        {
            case PythonDict dict:
                // A list as a key is an error in Python, which Jinja takes for "not there".
                return key is PythonList { IsTuple: false } or PythonDict ? null : dict.TryGet(key, out var value) ? value : null;
            case Namespace space:
                return key is MarkedText && space.Attributes.TryGet(key, out var attribute) ? attribute : null;
            case MarkedText or PythonList or PythonRange or PythonBytes when Python.TryInteger(key, out var index):
                var length = Python.Length(owner)!.Value;
                if (index < 0) index += length;
                if (index < 0 || index >= length) return null;
                return owner switch
                {
                    MarkedText text => Element(text, (int)index),
                    PythonList list => list[(int)index],
                    PythonBytes bytes => (BigInteger)bytes.Value[(int)index],
                    _ => ((PythonRange)owner).At(index),
                };
            default:
                return null;
        }
    }

    private static MarkedText Element(MarkedText text, int index)
    {
        var offset = text.Offset(index);
        return text.Substring(offset, PythonText.SizeAt(text.Value, offset));
    }

    private static object? FindAttribute(object owner, string name)
    {
        if (owner is Undefined missing) return OfObjects.Contains(name) ? Undefined.Unsafe(owner, name) : throw missing.Error();
        if (name.StartsWith('_')) return OfObjects.Contains(name) || (OfContainers.Contains(name) && owner is MarkedText or PythonList or PythonDict) ? Undefined.Unsafe(owner, name) : null;
        switch (owner)
        {
            case MarkedText text:
                return StringMethods.Find(text, name);
            case PythonDict dict:
                return HiddenOfDict.Contains(name) ? Undefined.Unsafe(owner, name) : DictMethods.Find(dict, name);
            case GroupTuple group when name is "grouper" or "list":
                return name == "grouper" ? group.Grouper : group.List;
            case PythonList list:
                return !list.IsTuple && HiddenOfList.Contains(name) ? Undefined.Unsafe(owner, name) : ListMethods.Find(list, name);
            case PythonRange range:
                return name switch { "start" => range.Start, "stop" => range.Stop, "step" => range.Step, _ => ListMethods.Find(range, name) };
            case Namespace space:
                return space.Attributes.TryGet(name, out var value) ? value : null;
            case LoopContext loop:
                return loop.Find(name);
            case Macro macro:
                return macro.Find(name);
            case Cycler cycler:
                return cycler.Find(name);
            case NamedBlocks blocks:
                return blocks.Find(name);
            case DictType:
                return name == "fromkeys" ? new PythonFunction("fromkeys", DictMethods.FromKeys) : null;
            default:
                return NumberMethods.Find(owner, name);
        }
    }
}
